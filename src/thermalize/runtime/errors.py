"""Errors whose message is for the user: one clear sentence, printed without a traceback."""

__all__ = ["UserError", "printable"]


class UserError(Exception):
    """Something the user can mend; the message names what is wrong and what to do."""


def printable(text: str) -> str:
    """Text for a terminal: what a file brings along to steer it, such as escape sequences, is shown and not obeyed."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)
