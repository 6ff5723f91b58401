"""What a person can set wrongly. app.py prints these without a traceback."""


class ConfigurationError(Exception):
    """A setting that cannot work; the message carries the value, the limit and the remedy."""


def require_range(name: str, value: float, low: float, high: float) -> None:
    """Raises ConfigurationError for a setting that is not within low..high."""
    if not low <= value <= high:
        raise ConfigurationError(f"{name} is {value}; it must be {low} to {high}; change it")
