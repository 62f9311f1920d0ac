"""The one exception raised for what a user supplied: files, tables, rows, options."""


class InputError(ValueError):
    """A file, row or option cannot be used; the message names it, what was found and the remedy."""
