"""What keeps an artefact from being built or published."""


class BuildError(Exception):
    """One sentence for the person at the terminal: what is wrong, with the value, and what to do about it."""
