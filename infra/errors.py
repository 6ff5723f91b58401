"""What a person can set wrongly. app.py prints these without a traceback."""


class ConfigurationError(Exception):
    """A setting that cannot work; the message carries the value, the limit and the remedy."""
