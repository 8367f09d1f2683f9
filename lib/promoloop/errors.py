"""Errors a person can act on: one line that names the thing, exit code 2, never a traceback."""


class UserError(Exception):
    """Wrong input, configuration or environment. Its text is the one line the user sees; it names the thing at fault."""
