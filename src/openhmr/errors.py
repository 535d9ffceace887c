"""The errors a user can act on."""


class InputError(ValueError):
    """Bad input: one sentence that says what was given, what is allowed and what to do.

    The command line prints it after ``error:`` and exits with code 2; library callers catch it as a
    ``ValueError``.
    """


class NothingFound(InputError):
    """A sound picture or file in which there is nobody to recover."""
