"""What a user can mend, told from what is wrong in the code."""

from math import isnan


class UserError(ValueError):
    """Something in what was asked for: its message is one sentence, expected, got, what to do.

    The command line prints the sentence and ends with code 2. Any other exception, but for an
    OSError that names a file, is a fault of ours: it keeps its traceback and ends with code 1.
    """


#: More scenes than anybody draws at once, and the largest seed: numbers that were mistyped.
MOST_SCENES, LARGEST_SEED = 100_000, 2**32 - 1


def check_range(name: str, value: float, least: float, most: float) -> None:
    """Raises UserError unless `value` is from `least` to `most`, and whole if `most` is an int."""
    if type(value) is not int and (type(most) is int or type(value) is not float or isnan(value)):
        raise UserError(f"{name} must be a {'whole ' * (type(most) is int)}number; got {value!r}.")
    if value < least:
        raise UserError(f"{name} must be {least} or more; got {value}.")
    if value > most:
        raise UserError(f"{name} must be {most} or less; got {value}.")
