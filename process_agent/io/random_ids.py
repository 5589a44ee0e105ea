"""Ids that nobody can guess."""

from __future__ import annotations

import os


def random_uuid() -> str:
    """The text of a random UUID (RFC 9562, version 4): what `uuid.uuid4` gives, without the object."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
