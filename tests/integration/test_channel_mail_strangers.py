"""Mail of programs, of strangers and without end: what is answered, and how often."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from process_agent.agent.channels import ChannelProfile, create_channels
from process_agent.channels.mail.loops import MAX_PER_SENDER
from process_agent.core.requests import Request, StartThread
from tests.fakes.mail_room import ANA, BOX, MailRoom, letter
from tests.fakes.smtp import SmtpRoom, smtp_server
from tests.integration.test_channel_mail import failed


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpRoom]:
    async with smtp_server() as server:
        yield server


@pytest.fixture
async def room(tmp_path: Path, smtp: SmtpRoom) -> MailRoom:
    return MailRoom(tmp_path, smtp)


async def test_who_is_not_named_by_a_mail_does_not_get_into_its_thread(room: MailRoom) -> None:
    """Ids of mails people write are no secret; ids of ours are."""
    async with room.agent():
        room.write(letter("my secret is 42", Message_ID="<public@example.com>"))
        first = await room.backend.turn(0)
        first.answer("I see")
        await room.smtp.mail(0)
        guessed = {"In_Reply_To": "<public@example.com>"}
        room.write(letter("what is it?", "Eve <eve@evil.test>", **guessed))
        eve = await room.backend.turn(1)
        eve.answer("no idea")
        room.write(letter("and now?", ANA, Reply_To="eve@evil.test", Message_ID="<e2@x>", **guessed))
        forged = await room.backend.turn(2)
        forged.answer("no idea")
        room.write(letter("one more thing", ANA, Message_ID="<e3@x>", **guessed))
        herself = await room.backend.turn(3)
        herself.answer("yes?")
    assert eve.thread_id != first.thread_id
    assert forged.thread_id not in (first.thread_id, eve.thread_id)
    assert herself.thread_id == first.thread_id


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto-Submitted": "auto-replied"},
        {"Precedence": "bulk"},
        {"List-Id": "<list.example.com>"},
        {"Return-Path": "<>"},
        {"From": BOX},
        {"Reply-To": f"x <{BOX}>"},
        {"From": "MAILER-DAEMON@example.com"},
        {"From": "noreply@example.com"},
        {"To": "somebody@else.test"},
        {"From": ""},
    ],
)
async def test_programs_get_no_answer(room: MailRoom, headers: dict[str, str]) -> None:
    async with room.agent():
        room.write(letter("from a program", **headers), letter("from a person", Message_ID="<p@x>"))
        turn = await room.backend.turn(0)
        assert "from a person" in turn.text
        turn.answer("hello")
        await room.smtp.mail(0)
    assert len(room.backend.turns) == 1
    assert len(room.smtp.mails) == 1
    assert f"{BOX}.failed" not in room.queues.sent


async def test_a_mail_that_comes_twice_is_answered_once(room: MailRoom) -> None:
    mail = letter("once", Message_ID="<1@example.com>")
    async with room.agent():
        room.write(mail, mail)
        (await room.backend.turn(0)).answer("hello")
        await room.smtp.mail(0)
    room.backend.turns.clear()
    async with room.agent():  # another agent of the name knows it from the table
        room.write(mail, letter("next", Message_ID="<2@example.com>"))
        turn = await room.backend.turn(0)
        assert "next" in turn.text
        turn.answer("hello")
        await room.smtp.mail(1)


async def test_who_writes_without_end_is_not_answered_without_end(room: MailRoom) -> None:
    async with room.agent():
        for number in range(MAX_PER_SENDER + 1):
            room.write(letter(f"answer to {number}", Message_ID=f"<{number}@loop>"))
            if number < MAX_PER_SENDER:
                (await room.backend.turn(number)).answer("answer")
        report = await failed(room)
    assert report["error"]["code"] == "too_many_mails"
    assert len(room.smtp.mails) == MAX_PER_SENDER


async def test_a_sender_has_no_rights_whatever_its_name(room: MailRoom) -> None:
    asked: list[Request] = []
    room.write(letter("more", Message_ID="<m@x>"))
    profile = ChannelProfile("bot", room.options, lambda: str(uuid.uuid4()), lambda: datetime.now(UTC))
    (channel,) = create_channels(room.channels, profile, room.inside)
    taken = asyncio.Event()

    def ask(request: Request) -> None:
        asked.append(request)
        taken.set()

    await channel.start(ask)
    await taken.wait()
    await channel.close()
    request = asked[0]
    assert isinstance(request, StartThread)
    assert request.envelope.sender.role == "tool"
    assert not request.options.attended
