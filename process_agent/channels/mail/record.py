"""A mail as the room keeps it: a JSON document and a row of the table `emails` (agent protocol, section 6.7).

Both have the fields of the published mail channel, which reads what is written here and the other way round.
Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import getaddresses
from typing import Any, Literal

from process_agent.channels.mail.message import Address, Mail
from process_agent.core.content import Json
from process_agent.core.ids import ThreadId

type MailRole = Literal["user", "agent"]
"""Who wrote a mail: somebody outside, or we."""

MAX_PEOPLE = 500
"""Addresses of a stored mail that are looked at."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A mail that the table knows. `people` are the addresses it names, lower case."""

    id: str
    thread_id: ThreadId
    role: str
    people: frozenset[str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mail lies in the room's storage: the folder, and its attachments in order."""

    folder: str
    attachments: tuple[str, ...] = ()

    @property
    def raw(self) -> str:
        """The mail as it came or went."""
        return f"{self.folder}/message.eml"

    @property
    def document(self) -> str:
        """What `document_of` returned."""
        return f"{self.folder}/message.json"


def document_of(mail: Mail, role: MailRole, thread_id: ThreadId, place: Place) -> dict[str, Json]:
    """The JSON document of a mail."""
    marks = mail.marks
    to, cc = _headers(mail.to), _headers(mail.cc)
    sender = None if mail.sender is None else _header(mail.sender)
    meta: dict[str, Json] = {
        "delivered_to": mail.delivered_to[0].addr if mail.delivered_to else None,
        "return_path": marks.return_path,
        "to": to,
        "cc": cc,
        "auto_submitted": marks.auto_submitted,
        "precedence": marks.precedence,
        "list_id": marks.list_header,
        "content_type": marks.content_type,
    }
    attachments: list[Json] = list(place.attachments)
    return {
        "id": mail.id,
        "in_reply_to": mail.in_reply_to,
        "reply_to": sender if mail.reply_to is None else _header(mail.reply_to),
        "references": " ".join(mail.references) or None,
        "from": sender,
        "to": to,
        "cc": cc,
        "subject": mail.subject,
        "body": mail.text,
        "attachments": attachments,
        "role": role,
        "correlation_id": mail.correlation_id,
        "meta": meta,
        "thread_id": thread_id,
        "path": place.document,
    }


def row_of(document: Mapping[str, Json]) -> dict[str, str | None]:
    """The row of a document."""
    row = {name: _text(document.get(name)) for name in ("id", "thread_id", "in_reply_to", "role")}
    return {**row, "json": json.dumps(document)}


def kept_of(row: Mapping[str, Any]) -> Kept | None:
    """What a row says; None for one that says too little."""
    try:
        document = json.loads(row.get("json") or "{}")
    except (ValueError, TypeError, RecursionError):
        document = {}
    document = document if isinstance(document, dict) else {}
    thread_id = _text(row.get("thread_id")) or _text(document.get("thread_id"))
    mail_id = _text(row.get("id"))
    if not thread_id or not mail_id:
        return None
    role = _text(row.get("role")) or _text(document.get("role")) or "user"
    return Kept(mail_id, ThreadId(thread_id), role, _people(document))


def may_join(kept: Kept, recipients: Iterable[Address]) -> bool:
    """Whether a mail that names `kept`, and whose answer goes to `recipients`, may go on in its thread.

    Who knows the id of one of our mails got it from somebody who had the mail. Ids of other mails are no
    secret: whoever would get the answer, and with it what the thread knows, must be named by that mail.
    """
    if kept.role == "agent":
        return True
    return all(address.key in kept.people for address in recipients)


def _people(document: Mapping[str, Any]) -> frozenset[str]:
    headers: list[str] = []
    for name in ("from", "reply_to", "to", "cc"):
        value = document.get(name)
        headers += [value] if isinstance(value, str) else _texts(value)
    return frozenset(addr.lower() for _, addr in getaddresses(headers[:MAX_PEOPLE])[:MAX_PEOPLE] if addr)


def _texts(value: object) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def _headers(addresses: Sequence[Address]) -> list[Json]:
    return [_header(address) for address in addresses]


def _header(address: Address) -> str:
    """An address as it stands in a header, decoded."""
    if not address.name:
        return address.addr
    name = address.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}" <{address.addr}>'


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
