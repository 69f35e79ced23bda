"""Errors whose message is for the user: one clear sentence, printed without a traceback."""

__all__ = ["UserError"]


class UserError(Exception):
    """Something the user can mend; the message names what is wrong and what to do."""
