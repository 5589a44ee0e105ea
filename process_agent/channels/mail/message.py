"""A mail as the channel works with it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

MAX_LINE = 1_000
"""Characters of a subject, a name or an id that are kept."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, invisible and direction marks, surrogates, private and unassigned characters, line separators."""

_JOINERS = frozenset("\u200c\u200d")
"""Invisible, and part of how some languages and emoji are written."""


@dataclass(frozen=True, slots=True)
class Address:
    """Who a header names. Nobody checked that it is true."""

    name: str
    addr: str

    @property
    def key(self) -> str:
        """What two spellings of one address have in common."""
        return self.addr.lower()

    @property
    def text(self) -> str:
        """For people and models: the address always shows, so that a name cannot pass for somebody."""
        return f"{self.name} <{self.addr}>" if self.name and self.name != self.addr else self.addr


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a mail; `name` is safe as the last part of a path."""

    name: str
    mime_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Marks:
    """Headers that tell mail of programs from mail of people; lower case, None where they are missing."""

    auto_submitted: str | None = None
    precedence: str | None = None
    return_path: str | None = None
    list_header: str | None = None
    suppress: str | None = None
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Mail:
    """One parsed mail.

    Ids keep their angle brackets. `text` is what its author wrote, HTML turned to text; `notes` say what of
    the mail is missing here. `answer_to` is the address an answer goes to, None when there is none.
    """

    id: str
    sender: Address | None
    reply_to: Address | None
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    text: str
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    date: str = ""
    delivered_to: tuple[Address, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    notes: tuple[str, ...] = ()
    marks: Marks = Marks()
    correlation_id: str | None = None

    @property
    def answer_to(self) -> Address | None:
        """Where an answer goes."""
        return self.reply_to or self.sender

    @property
    def parents(self) -> tuple[str, ...]:
        """Ids of the mails this one may answer, the nearest first, each once."""
        nearest = () if self.in_reply_to is None else (self.in_reply_to,)
        return tuple(dict.fromkeys((*nearest, *reversed(self.references))))


def one_line(text: str, limit: int = MAX_LINE) -> str:
    """Text without line breaks, controls and invisible characters, at most `limit` characters."""
    head = text[: limit * 4]
    shown = "".join(c if c in _JOINERS or unicodedata.category(c) not in _UNSEEN else " " for c in head)
    return " ".join(shown.split())[:limit].rstrip()


_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")


def is_address(text: str) -> bool:
    """Whether this can be written to: the plain ASCII form, without quoting and comments."""
    return _ADDRESS.fullmatch(text) is not None


def same_mailbox(one: str, other: str) -> bool:
    """Whether two addresses are one mailbox: without case, and with or without a `+tag`."""
    if one.lower() == other.lower():
        return True
    return _untagged(one) == _untagged(other)


def _untagged(address: str) -> str:
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"
