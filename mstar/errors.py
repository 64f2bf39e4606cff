"""What a user can mend, told from what is wrong in the code."""


class UserError(ValueError):
    """Something in what was asked for: its message is one sentence, expected, got, what to do.

    The command line prints the sentence and ends with code 2. Any other exception, but for an
    OSError that names a file, is a fault of ours: it keeps its traceback and ends with code 1.
    """
