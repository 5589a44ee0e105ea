"""What is left out of texts that go to the room: addresses of the operator's providers, and keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ADDRESS = re.compile(r",?\s*(?:url:\s*)?\(?\b(?:https?|wss?)://[^\s,;)\"']+\)?", re.IGNORECASE)
_KEY = re.compile(
    r"\b(?:(?:sk|rk|xai|gsk|tgp)-[\w*.-]{8,}|eyJ[\w-]{8,}\.[\w.-]+|(?<=[Bb]earer )[\w.~+/-]{8,}=*)"
)

MAX_MESSAGE = 2_000
"""Characters of an error message that are passed on."""


def without_addresses(text: str) -> str:
    """The text without web addresses: they name the operator's provider (page section 13)."""
    return _ADDRESS.sub("", text).strip()[:MAX_MESSAGE]


def without_secrets(text: str, secrets: Iterable[str | None]) -> str:
    """The text without these secrets, and without what looks like a key; providers repeat a wrong one."""
    for secret in secrets:
        if secret and len(secret) >= 4:
            text = text.replace(secret, "[key]")
    return _KEY.sub("[key]", text)
