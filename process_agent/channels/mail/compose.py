"""Writes mails: answers to a mail, and mails that begin a conversation. Pure.

Everything from outside goes into headers through `EmailMessage`, which refuses line breaks, after it was made
one line; message ids and addresses only in the one plain form that `parse` lets through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any, Final

from process_agent.channels.mail.html_answer import html_answer
from process_agent.channels.mail.message import Address, Attachment, Mail, one_line, same_mailbox

MAX_RECIPIENTS: Final = 50
"""Addresses one answer goes to."""

MAX_ANSWER: Final = 500_000
"""Characters of an answer's text."""

MAX_SUBJECT: Final = 300
MAX_REFERENCES: Final = 20
"""Message ids an answer names: the first, and the latest."""

_IDS: Final = frozenset({"message-id", "in-reply-to", "references"})
_TYPE: Final = re.compile(r"(application|audio|font|image|model|text|video)/([A-Za-z0-9.+_-]{1,80})")
_REPLY: Final = re.compile(r"re\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Who answers: our address, and the agent's name beside it."""

    address: str
    name: str
    reply_all: bool = False

    @property
    def domain(self) -> str:
        """What comes after the @."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Written:
    """What an answer says. `text` is Markdown."""

    text: str
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class FirstMail:
    """A mail that answers none."""

    to: tuple[Address, ...]
    subject: str
    written: Written


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail ready for SMTP: `data` has CRLF line ends, `recipients` are plain addresses."""

    id: str
    sender: str
    recipients: tuple[str, ...]
    data: bytes = field(repr=False)


def compose_answer(mail: Mail, mailbox: Mailbox, written: Written, unique: str, now: datetime) -> Outgoing:
    """The answer to a mail; `unique` becomes its id. Raises `ValueError` for a mail without an address to
    answer.
    """
    to, cc = recipients_of(mail, mailbox)
    if to is None:
        raise ValueError("the mail has no address to answer")
    message = _begun(mailbox, unique, now, (to,))
    if cc:
        message["Cc"] = [_header_address(address) for address in cc]
    message["Subject"] = answer_subject(mail.subject)
    message["In-Reply-To"] = mail.id
    message["References"] = " ".join(_references(mail))
    message["Auto-Submitted"] = "auto-replied"
    if mail.correlation_id is not None:
        message["Meshagent-Correlation-ID"] = mail.correlation_id
    return _finished(message, mailbox, written, (to, *cc))


def compose_first(first: FirstMail, mailbox: Mailbox, unique: str, now: datetime) -> Outgoing:
    """A mail that begins a conversation. It says that a program wrote it, so that no program answers it."""
    message = _begun(mailbox, unique, now, first.to)
    message["Subject"] = one_line(first.subject, MAX_SUBJECT)
    message["Auto-Submitted"] = "auto-generated"
    return _finished(message, mailbox, first.written, first.to)


def recipients_of(mail: Mail, mailbox: Mailbox) -> tuple[Address | None, tuple[Address, ...]]:
    """Who gets the answer: the one who wrote, and with `reply_all` the others, never ourselves."""
    to = mail.answer_to
    if to is None or not mailbox.reply_all:
        return to, ()
    others: dict[str, Address] = {}
    for address in (*mail.to, *mail.cc):
        if address.key != to.key and not same_mailbox(address.addr, mailbox.address):
            others.setdefault(address.key, address)
    return to, tuple(others.values())[: MAX_RECIPIENTS - 1]


def answer_subject(subject: str) -> str:
    """`Re:` once."""
    subject = one_line(subject, MAX_SUBJECT)
    return subject if _REPLY.match(subject) else f"Re: {subject}".strip()


def _begun(mailbox: Mailbox, unique: str, now: datetime, to: Sequence[Address]) -> EmailMessage:
    message = EmailMessage(policy=_Folding(linesep="\r\n"))
    message["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9.-]', '', unique)}@{mailbox.domain}>"
    message["Date"] = format_datetime(now)
    message["From"] = _header_address(Address(mailbox.name, mailbox.address))
    message["To"] = [_header_address(address) for address in to]
    return message


def _finished(
    message: EmailMessage, mailbox: Mailbox, written: Written, recipients: Sequence[Address]
) -> Outgoing:
    message["X-Auto-Response-Suppress"] = "All"
    _fill(message, written)
    own_id, addresses = str(message["Message-ID"]), tuple(address.addr for address in recipients)
    return Outgoing(own_id, mailbox.address, addresses, message.as_bytes())


def _references(mail: Mail) -> list[str]:
    earlier = mail.references or (() if mail.in_reply_to is None else (mail.in_reply_to,))
    ids = list(dict.fromkeys((*earlier, mail.id)))
    return ids if len(ids) <= MAX_REFERENCES else [ids[0], *ids[1 - MAX_REFERENCES :]]


def _header_address(address: Address) -> HeaderAddress:
    local, _, domain = address.addr.rpartition("@")
    return HeaderAddress(one_line(address.name, 100), username=local, domain=domain)


def _fill(message: EmailMessage, written: Written) -> None:
    text = written.text.encode("utf-8", "replace").decode()
    if len(text) > MAX_ANSWER:
        text = text[:MAX_ANSWER] + f"\n\n(The answer was cut after {MAX_ANSWER} characters.)"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html_answer(text), subtype="html", cte="quoted-printable")
    _attach(message, written.files)


def _attach(message: EmailMessage, files: Sequence[Attachment]) -> None:
    for file in files:
        known = _TYPE.fullmatch(file.mime_type)
        main, sub = known.groups() if known else ("application", "octet-stream")
        message.add_attachment(file.data, maintype=main, subtype=sub, filename=one_line(file.name, 100))


class _Folding(EmailPolicy):
    """The default policy encodes ids that do not fit in a line, and no client finds its mail by those."""

    def fold(self, name: str, value: Any) -> str:
        """A header as lines; ids one below the other."""
        if name.lower() in _IDS:
            return f"{name}: " + "\r\n ".join(str(value).split()) + "\r\n"
        folded: str = super().fold(name, value)
        return folded

    def fold_binary(self, name: str, value: Any) -> bytes:
        """Like `fold`."""
        if name.lower() in _IDS:
            return self.fold(name, value).encode("ascii", "replace")
        folded: bytes = super().fold_binary(name, value)
        return folded
