"""Addresses of files in the room's storage: `room:///path`. Pure."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

_SCHEME = "room:"


def is_room_address(url: str) -> bool:
    """Whether an address names a file of the room's storage."""
    return url[: len(_SCHEME)].lower() == _SCHEME


def path_at(url: str) -> str:
    """The path of a `room:` address, however many slashes it begins with."""
    try:
        parts = urlsplit(url)
    except ValueError:  # an address that ends within a bracket
        return url
    return unquote(parts.netloc + parts.path).lstrip("/")


def room_address(path: str) -> str:
    """The address of a path; the opposite of `path_at`."""
    return f"{_SCHEME}///{quote(path)}"
