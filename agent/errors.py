"""What ends the program."""


class FatalError(Exception):
    """What no retry mends; the message says what to do. The program ends with it."""
