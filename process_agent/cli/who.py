"""Who sits at this machine."""

from __future__ import annotations


def login_name() -> str:
    """The login name, or `user` where the system knows none."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "user"
