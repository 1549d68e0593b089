"""The errors that a user can mend."""


class InputError(Exception):
    """What the user gave cannot be used: one line that says what, where, and what to do about it.

    The command line prints the line and leaves with exit code 2.
    """


class Unsupported(ValueError):
    """A method cannot do what was asked of it (more bits than dimensions, say).

    Raised by ``fit``; in a run the cell is recorded as ``skipped`` with this reason and the rest goes on.
    """
