"""`mail.new_email_thread`: the model begins a conversation by mail, when somebody allows it."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from process_agent.agent.tools.attach import Workplace
from process_agent.agent.tools.tool import (
    Arguments,
    Call,
    Need,
    Plan,
    Scope,
    Tool,
    Toolkit,
    parameters,
    said,
    text_argument,
    unplanned,
)
from process_agent.core.content import Json
from process_agent.core.tools import ToolOutput, ToolSpec
from process_agent.errors import MailError, ToolFailedError
from process_agent.io.beneath import read_beneath

if TYPE_CHECKING:
    from process_agent.channels.mail.compose import FirstMail
    from process_agent.channels.mail.first_mails import FirstMails
    from process_agent.channels.mail.message import Address, Attachment

NAME = "mail"
MAX_TEXT = 100_000
MAX_SUBJECT = 200
"""Characters of what a mail says."""

SECONDS = 180.0
"""More than a server may take for one attempt (`io.smtp`)."""

_ABOUT = "Mail to people outside of this room."
_JOINED = (
    "A reply comes as a message of this conversation, and what you answer to it goes back by mail to "
    "whoever replied, so say nothing then that is not for them."
)


@dataclass(frozen=True, slots=True)
class MailTools:
    """The toolkit `mail`. `joined` says whether replies go on in the thread the mail was written in."""

    mails: FirstMails
    workplace: Workplace
    joined: bool = True

    def toolkit(self) -> Toolkit:
        """The toolkit."""
        texts: dict[str, Json] = {"type": "array", "items": {"type": "string"}}
        about = "Begin a conversation by mail. The people here are asked first. "
        about += _JOINED if self.joined else "Replies come in a conversation of their own."
        spec = ToolSpec(
            "new_email_thread",
            about,
            parameters(
                ["to", "subject", "text"],
                to={**texts, "description": "plain addresses, like ana@example.com"},
                subject=text_argument("the subject, one line"),
                text=text_argument("what the mail says, in Markdown"),
                files={**texts, "description": "paths of files in your working folder to attach"},
            ),
        )
        return Toolkit(NAME, _ABOUT, (Tool(spec, unplanned, self._plan, SECONDS),), "Mail")

    def _plan(self, arguments: Arguments, scope: Scope) -> Plan:
        to = self._recipients(arguments)
        subject = _text(arguments, "subject", MAX_SUBJECT)
        if not subject.isprintable():
            raise ToolFailedError("subject must be one line.")
        text = _text(arguments, "text", MAX_TEXT)
        place = self.workplace.of(scope)
        files = [place.inside(path) for path in _texts(arguments, "files")]

        async def run(call: Call) -> ToolOutput:
            attached = await _attached(place, files)
            return await self._send(_first(to, subject, text, attached), call)

        return Plan(run, self._need(to, subject, text, files))

    def _recipients(self, arguments: Arguments) -> tuple[Address, ...]:
        try:
            return self.mails.recipients(_texts(arguments, "to"))
        except MailError as error:
            raise ToolFailedError(str(error)) from error

    def _need(self, to: Sequence[Address], subject: str, text: str, files: Sequence[PurePosixPath]) -> Need:
        """Each mail is asked about: who allows one for the session allows no other with it."""
        people = ", ".join(address.addr for address in to)
        names = f" with {', '.join(map(str, files))}" if files else ""
        reason = f"sends the mail “{subject}”{names} from {self.mails.address} to {people}."
        if self.joined:
            reason += " Whoever replies talks to the agent in this conversation."
        whole = "\0".join((people, subject, text, *map(str, files))).encode("utf-8", "replace")
        return Need(f"mail.new_email_thread {hashlib.sha256(whole).hexdigest()}", reason)

    async def _send(self, first: FirstMail, call: Call) -> ToolOutput:
        try:
            refused = await self.mails.send(first, call.scope.thread_id)
        except MailError as error:
            again = " It may work later." if error.temporary else ""
            raise ToolFailedError(f"The mail was not sent: {error}{again}") from error
        people = ", ".join(address.addr for address in first.to if address.addr not in refused)
        lines = [f"The mail was sent to {people}."]
        lines += [f"The server refused {address}: {words[:300]}" for address, words in refused.items()]
        return said("\n".join(lines))


def _first(to: tuple[Address, ...], subject: str, text: str, files: tuple[Attachment, ...]) -> FirstMail:
    from process_agent.channels.mail.compose import FirstMail, Written

    return FirstMail(to, subject, Written(text, files))


async def _attached(place: Workplace, paths: Sequence[PurePosixPath]) -> tuple[Attachment, ...]:
    from process_agent.channels.mail.attachments import safe_name
    from process_agent.channels.mail.files import MAX_BYTES, MAX_FILES
    from process_agent.channels.mail.message import Attachment

    if len(paths) > MAX_FILES:
        raise ToolFailedError(f"A mail takes {MAX_FILES} files.")
    found: list[Attachment] = []
    space = MAX_BYTES
    for path in paths:
        data = await asyncio.to_thread(read_beneath, place.folder, path, space)
        space -= len(data)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        found.append(Attachment(safe_name(path.name, kind), kind, data))
    return tuple(found)


def _text(arguments: Arguments, name: str, most: int) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ToolFailedError(f"{name} must be text.")
    if len(value) > most:
        raise ToolFailedError(f"{name} has more than {most} characters.")
    return value.strip()


def _texts(arguments: Arguments, name: str) -> list[str]:
    value = arguments.get(name)
    if value is None:
        return []
    found = [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(found) != len(value):
        raise ToolFailedError(f"{name} must be a list of texts.")
    return found
