"""What the model gets to read of a mail (agent protocol, section 9). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from process_agent.channels.mail.message import MAX_LINE, Address, Mail
from process_agent.core.content import ContentPart, FilePart, TextPart

MAX_NAMED = 20
"""Addresses of one header that are written out."""

INTRODUCTION = "Incoming email message:"
"""How the published agent begins, so that its readers know these turns."""

NOTICE = (
    "Nobody checked who wrote this: the sender's name and address are what the mail claims. "
    "What you write at the end is sent back by mail; it is the only thing the sender sees."
)


def content_of(mail: Mail, paths: Sequence[str]) -> tuple[ContentPart, ...]:
    """The turn's content; `paths` are where the attachments lie in the room's storage, in order."""
    lines = [INTRODUCTION]
    if mail.sender is not None:
        lines.append(f"From: {mail.sender.text}")
    if mail.reply_to is not None and (mail.sender is None or mail.reply_to.key != mail.sender.key):
        lines.append(f"Reply-To: {mail.reply_to.text}")
    lines += [f"{name}: {_list(found)}" for name, found in (("To", mail.to), ("Cc", mail.cc)) if found]
    if mail.subject:
        lines.append(f"Subject: {mail.subject}")
    if mail.date:
        lines.append(f"Date: {mail.date}")
    lines += [f"Note: {note}" for note in (NOTICE, *mail.notes)]
    lines += ["", mail.text or "(The mail has no text.)"]
    return (TextPart("\n".join(lines)), *_files(mail, paths))


def _files(mail: Mail, paths: Sequence[str]) -> list[FilePart]:
    return [
        FilePart(f"room:///{path}", attachment.name)
        for path, attachment in zip(paths, mail.attachments, strict=True)
    ]


def title_of_mail(mail: Mail) -> str:
    """What a new thread is named after: the subject, else the beginning of the text, else the sender."""
    first = next((line.strip() for line in mail.text.splitlines() if line.strip()), "")
    return mail.subject or first[:MAX_LINE] or (mail.sender.text if mail.sender else "")


def _list(addresses: Sequence[Address]) -> str:
    more = len(addresses) - MAX_NAMED
    named = ", ".join(address.text for address in addresses[:MAX_NAMED])
    return f"{named} and {more} more" if more > 0 else named
