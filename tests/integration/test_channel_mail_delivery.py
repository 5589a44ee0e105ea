"""Mail whose answer has a way to go: servers that say later, agents that stop, rooms that are lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from process_agent.channels.mail import book, delivery, recovery
from process_agent.channels.mail.channel import MAX_MAILS
from process_agent.errors import RoomError, RoomRequestError
from process_agent.io.backoff import Backoff
from tests.fakes.mail_room import BOX, EMAILS, OPEN, MailRoom, letter
from tests.fakes.memory_store import DIRECTORY
from tests.fakes.smtp import SmtpRoom, smtp_server
from tests.integration.test_channel_mail import body, failed


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpRoom]:
    async with smtp_server() as server:
        yield server


@pytest.fixture
async def room(tmp_path: Path, smtp: SmtpRoom) -> MailRoom:
    return MailRoom(tmp_path, smtp)


async def test_a_server_that_says_later_gets_it_later(room: MailRoom) -> None:
    room.smtp.answers = ["451 try again", "421 busy"]
    async with room.agent():
        room.write(letter())
        (await room.backend.turn(0)).answer("patience")
        sent = await room.smtp.mail(0)
    assert sent.mail.text == "patience"
    assert room.smtp.tries == 3


async def test_a_server_that_was_down_gets_it_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "ATTEMPTS", 10_000)
    async with smtp_server() as before:
        room = MailRoom(tmp_path, before)
    async with room.agent():
        room.write(letter())
        (await room.backend.turn(0)).answer("I am back")
        await room.datasets.until(lambda: len(room.rows()) == 2)
        async with smtp_server(port=before.port) as after:
            sent = await after.mail(0)
    assert sent.mail.text == "I am back"


@pytest.mark.parametrize("answer", ["550 no such user", "451 later"])
async def test_an_answer_nobody_takes_is_kept_and_reported(
    room: MailRoom, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "ATTEMPTS", 3)
    room.smtp.answers = [answer] * 3
    async with room.agent():
        room.write(letter())
        (await room.backend.turn(0)).answer("not lost")
        report = await failed(room)
    assert report["error"]["code"] == "mail_not_sent"
    assert report["item"]["recipients"] == ["ana@example.com"]
    assert b"not lost" in room.files.files[report["item"]["unsent"]]
    assert room.smtp.tries == (1 if answer.startswith("5") else 3)


async def test_one_recipient_a_server_refuses_keeps_it_from_nobody_else(
    tmp_path: Path, smtp: SmtpRoom, caplog: pytest.LogCaptureFixture
) -> None:
    room = MailRoom(tmp_path, smtp, f"mail:{BOX}?reply-all=true")
    smtp.refused = {"jo@example.com": "550 unknown"}
    async with room.agent():
        room.write(letter(Cc="jo@example.com"))
        (await room.backend.turn(0)).answer("hi")
        sent = await smtp.mail(0)
    assert sent.recipients == ("ana@example.com",)
    assert "did not go to jo@example.com: 550 unknown" in caplog.text


async def test_an_agent_that_stops_answers_what_runs_and_gives_back_what_waits(room: MailRoom) -> None:
    async with room.agent():
        room.write(letter("one", Message_ID="<1@example.com>"))
        first = await room.backend.turn(0)
        room.write(letter("two", Message_ID="<2@example.com>", In_Reply_To="<1@example.com>"))
        await room.datasets.until(lambda: len(room.rows()) == 2)
    assert "was stopped" in body(await room.smtp.mail(0))
    assert len(room.smtp.mails) == 1
    (back,) = room.queues.sent[BOX]
    assert isinstance(back, dict)
    assert back["again"] is True
    room.backend.turns.clear()
    async with room.agent():
        again = await room.backend.turn(0)
        assert "two" in again.text
        assert again.thread_id == first.thread_id
        again.answer("done")
        sent = await room.smtp.mail(1)
    assert sent.mail.in_reply_to == "<2@example.com>"


async def test_mail_of_a_killed_agent_is_answered_by_the_next(room: MailRoom) -> None:
    async with room.agent():
        room.write(letter("one", Message_ID="<1@example.com>"))
        await room.backend.turn(0)
        await room.datasets.until(lambda: len(room.rows()) == 1)
        killed = dict(room.datasets.tables)
    room.datasets.tables = killed
    room.smtp.mails.clear()
    async with room.agent():
        sent = await room.smtp.mail(0)
        assert sent.mail.in_reply_to == "<1@example.com>"
        assert "was stopped before it was done" in body(sent)
        await room.datasets.until(lambda: room.datasets.rows(OPEN) == [])
    async with room.agent():
        room.write(letter("two", Message_ID="<2@example.com>"))
        (await room.backend.turn(1)).answer("hi")
        await room.smtp.mail(1)
    assert len(room.smtp.mails) == 2


async def test_an_answer_that_waits_when_the_agent_stops_is_sent_at_the_next_start(room: MailRoom) -> None:
    room.smtp.answers = ["451 later"] * 9
    async with room.agent():
        room.write(letter())
        (await room.backend.turn(0)).answer("the answer")
        await room.smtp.until(lambda: room.smtp.tries > 0)
    assert f"{BOX}.failed" not in room.queues.sent
    (kept,) = [row for row in room.rows() if row["role"] == "agent"]
    room.smtp.answers = []
    async with room.agent():
        sent = await room.smtp.mail(0)
        await room.datasets.until(lambda: room.datasets.rows(OPEN) == [])
    assert (sent.mail.id, sent.mail.text) == (kept["id"], "the answer")
    assert sent.recipients == ("ana@example.com",)
    assert len(room.smtp.mails) == 1


async def test_mail_of_another_agent_that_is_here_is_its_own(
    room: MailRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "LOOK_EVERY", 0.001)
    async with room.agent():
        room.write(letter("one", Message_ID="<1@example.com>"))
        await room.backend.turn(0)
        await room.datasets.until(lambda: len(room.rows()) == 1)
        killed = dict(room.datasets.tables)
    room.datasets.tables = killed
    room.smtp.mails.clear()
    other = room.messaging.join("bot", "agent")
    async with room.agent():
        room.write(letter("two", Message_ID="<2@example.com>"))
        (await room.backend.turn(1)).answer("hi")
        await room.smtp.mail(0)
        assert [sent.mail.in_reply_to for sent in room.smtp.mails] == ["<2@example.com>"]
        other.leave()
        sent = await room.smtp.mail(1)
    assert sent.mail.in_reply_to == "<1@example.com>"


async def test_a_lost_connection_to_the_room_loses_no_mail(
    room: MailRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "_DELAYS", Backoff(first=0.001, ceiling=0.01))
    async with room.agent():
        room.datasets.failures = [RoomError("gone"), RoomError("gone")]
        room.write(letter())
        (await room.backend.turn(0)).answer("hi")
        await room.smtp.mail(0)
        room.datasets.failures = [RoomRequestError("full")]
        room.write(letter("next", Message_ID="<n@x>"))
        (await room.backend.turn(1)).answer("hi")
        await room.smtp.mail(1)


async def test_a_thread_that_was_deleted_is_replaced(room: MailRoom) -> None:
    async with room.agent():
        room.write(letter("one", Message_ID="<1@example.com>"))
        first = await room.backend.turn(0)
        first.answer("hi")
        await room.smtp.mail(0)
        foreign = {**room.rows()[1], "id": "<forged@row>", "thread_id": "dataset://agents/other/threads/x"}
        schema: Any = await room.datasets.schema(EMAILS)
        await room.datasets.insert(EMAILS, pa.Table.from_pylist([foreign], schema=schema))
        room.write(letter("two", Message_ID="<2@example.com>", In_Reply_To="<forged@row>"))
        second = await room.backend.turn(1)
        assert second.thread_id.startswith(f"{DIRECTORY}/")
        assert second.thread_id != first.thread_id
        second.answer("hi")
        await room.smtp.mail(1)


async def test_many_mails_at_once_each_get_their_answer(room: MailRoom) -> None:
    count = MAX_MAILS * 2
    async with room.agent():
        room.write(*(letter(f"n {n}", f"p{n}@example.com", Message_ID=f"<{n}@x>") for n in range(count)))
        for n in range(count):
            turn = await room.backend.turn(n)
            turn.answer(f"answer to {turn.input.sender_name}")
        await room.smtp.mail(count - 1)
    answers = {sent.mail.text: sent.recipients for sent in room.smtp.mails}
    assert answers == {f"answer to p{n}@example.com": (f"p{n}@example.com",) for n in range(count)}
