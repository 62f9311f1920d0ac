"""The error a person can act on."""


class InputError(ValueError):
    """Input of the user that cannot be worked with: what was found, where, and what to do."""
