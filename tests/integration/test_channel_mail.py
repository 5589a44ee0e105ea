"""The mail channel of a whole agent: memory on one side, a real SMTP conversation on the other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from process_agent.agent.assemble import AgentConfig, create_backends
from process_agent.agent.channels import ChannelOptions, check_channels
from process_agent.agent.tools.sources import ToolOptions
from process_agent.channels.mail import delivery
from process_agent.core.backend import BackendConfig
from process_agent.core.content import ErrorInfo, FilePart
from process_agent.core.decisions import Decision
from process_agent.core.events import (
    ApprovalRequested,
    EndReason,
    FileShown,
    TextDelta,
    TextEnded,
    TextStarted,
    ToolRef,
    ToolStarted,
    TurnEnded,
    TurnRequested,
)
from process_agent.core.ids import ItemId, ThreadId
from process_agent.errors import UsageError
from process_agent.io.backoff import Backoff
from tests.fakes.mail_room import ANA, BOX, EMAILS, MailRoom, item, letter
from tests.fakes.memory_store import DIRECTORY
from tests.fakes.smtp import Received, SmtpRoom, smtp_server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "RETRY", Backoff(first=0.001, ceiling=0.01))


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpRoom]:
    async with smtp_server() as server:
        yield server


@pytest.fixture
async def room(tmp_path: Path, smtp: SmtpRoom) -> MailRoom:
    return MailRoom(tmp_path, smtp)


async def failed(room: MailRoom) -> dict[str, Any]:
    report = await room.queues.receive(f"{BOX}.failed")
    assert isinstance(report, dict)
    return dict(report)


def parsed(received: Received) -> EmailMessage:
    message = message_from_bytes(received.data, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def body(received: Received, kind: str = "plain") -> str:
    part: Any = parsed(received).get_body((kind,))
    return str(part.get_content()).replace("\r\n", "\n")


async def test_a_mail_becomes_a_turn_and_its_end_one_answer(room: MailRoom) -> None:
    message = letter("What is 6 times 7?", Message_ID="<q1@example.com>", Cc="Jo <jo@example.com>")
    async with room.agent() as agent:
        assert agent.ready.channels == (f"mail:{BOX}",)
        room.write(message)
        turn = await room.backend.turn(0)
        assert turn.input.sender_name == "Ana <ana@example.com>"
        lines = turn.text.splitlines()
        assert lines[0] == "Incoming email message:"
        assert {"From: Ana <ana@example.com>", f"To: {BOX}", "Subject: Question"} <= set(lines)
        assert "Nobody checked who wrote this" in turn.text
        assert lines[-1] == "What is 6 times 7?"
        turn.say(*said("c", "Let me think.", "commentary"), *said("a", "It is **42**."))
        turn.answer("Anything else?", "b")
        sent = await room.smtp.mail(0)
    answer = parsed(sent)
    assert (sent.sender, sent.recipients) == (BOX, ("ana@example.com",))
    assert answer["From"] == f"bot <{BOX}>"
    assert answer["To"] == ANA
    assert answer["Cc"] is None
    assert answer["Subject"] == "Re: Question"
    assert answer["In-Reply-To"] == "<q1@example.com>"
    assert answer["References"] == "<q1@example.com>"
    assert answer["Auto-Submitted"] == "auto-replied"
    assert body(sent).strip() == "It is **42**.\n\nAnything else?"
    assert "<p>It is <strong>42</strong>.</p>" in body(sent, "html")
    assert len(room.smtp.mails) == 1
    assert room.store.entries[turn.thread_id].name == "Question"


def said(item: str, text: str, phase: Any = "final_answer") -> tuple[TextStarted, TextDelta, TextEnded]:
    item_id = ItemId(item)
    return TextStarted(item_id, phase), TextDelta(item_id, text, phase), TextEnded(item_id, phase)


async def test_both_mails_are_kept_as_the_published_channel_keeps_them(room: MailRoom) -> None:
    message = letter(Message_ID="<q1@example.com>")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="../../chart.png")
    async with room.agent():
        room.write(message)
        turn = await room.backend.turn(0)
        said = next(x.body for x in room.store.rows[turn.thread_id] if isinstance(x.body, TurnRequested))
        (file,) = [part for part in said.content if isinstance(part, FilePart)]
        turn.answer("Nice chart")
        sent = await room.smtp.mail(0)
    path = file.url.removeprefix("room:///")
    assert room.files.files[path] == b"\x89PNG"
    folder = path.removesuffix("/attachments/chart.png")
    root, one, two = folder.split("/")
    assert (root, len(one), len(two)) == (".emails", 8, 8)
    assert room.files.files[f"{folder}/message.eml"] == message.as_bytes()
    first, second = room.rows()
    assert (first["id"], first["role"], first["in_reply_to"]) == ("<q1@example.com>", "user", None)
    assert (second["id"], second["role"]) == (sent.mail.id, "agent")
    assert second["in_reply_to"] == "<q1@example.com>"
    assert first["thread_id"] == second["thread_id"] == turn.thread_id
    document = json.loads(first["json"])
    assert document == json.loads(room.files.files[f"{folder}/message.json"])
    assert document["thread_id"] == turn.thread_id
    assert document["from"] == '"Ana" <ana@example.com>'
    assert document["attachments"] == [path]
    assert document["path"] == f"{folder}/message.json"


async def test_an_answer_goes_on_in_its_thread(room: MailRoom) -> None:
    async with room.agent():
        room.write(letter("one", Message_ID="<1@example.com>"))
        first = await room.backend.turn(0)
        first.answer("first")
        sent = await room.smtp.mail(0)
        room.write(
            letter("two", Message_ID="<2@example.com>", In_Reply_To=sent.mail.id, Subject="Re: Question")
        )
        second = await room.backend.turn(1)
        second.answer("second")
        await room.smtp.mail(1)
        references = f"<0@elsewhere> {sent.mail.id} <unknown@elsewhere>"
        room.write(letter("three", Message_ID="<3@example.com>", References=references))
        third = await room.backend.turn(2)
        third.answer("third")
        answer = parsed(await room.smtp.mail(2))
        room.write(letter("four", Message_ID="<4@example.com>", In_Reply_To="<unknown@example.com>"))
        fourth = await room.backend.turn(3)
        fourth.answer("fourth")
    assert first.thread_id == second.thread_id == third.thread_id
    assert answer["References"].split() == [*references.split(), "<3@example.com>"]
    assert fourth.thread_id != first.thread_id


async def test_rows_of_the_published_channel_are_understood(room: MailRoom) -> None:
    thread = ThreadId(f"{DIRECTORY}/old")
    room.store.rows[thread] = []
    async with room.agent():
        row = {"id": "<theirs@mail.test>", "thread_id": thread, "in_reply_to": None, "role": "agent"}
        stored = {**row, "json": json.dumps({**row, "from": BOX, "to": ["ana@example.com"]})}
        schema: Any = await room.datasets.schema(EMAILS)
        await room.datasets.insert(EMAILS, pa.Table.from_pylist([stored], schema=schema))
        room.write(letter("more", In_Reply_To="<theirs@mail.test>"))
        turn = await room.backend.turn(0)
        assert turn.thread_id == thread
        turn.answer("ok")


async def test_mail_for_a_busy_thread_waits_and_other_mail_does_not(room: MailRoom) -> None:
    async with room.agent():
        room.write(letter("one", Message_ID="<1@example.com>"))
        first = await room.backend.turn(0)
        room.write(letter("two", Message_ID="<2@example.com>", In_Reply_To="<1@example.com>"))
        room.write(letter("other", Message_ID="<3@example.com>"))
        other = await room.backend.turn(1)
        assert "other" in other.text
        other.answer("at once")
        await room.smtp.mail(0)
        first.answer("late")
        await room.smtp.mail(1)
        second = await room.backend.turn(2)
        assert second.thread_id == first.thread_id
        second.answer("later")
        await room.smtp.mail(2)
    assert [sent.mail.text for sent in room.smtp.mails] == ["at once", "late", "later"]


async def test_answering_all(tmp_path: Path, smtp: SmtpRoom) -> None:
    room = MailRoom(tmp_path, smtp, f"mail:{BOX}?reply-all=true")
    async with room.agent():
        to = f"Bot <{BOX.upper()}>, Jo <jo@example.com>, bot+tag@mail.test"
        room.write(letter(to=to, Cc="ana@example.com, Li <li@example.com>, jo@example.com"))
        (await room.backend.turn(0)).answer("hi all")
        sent = await smtp.mail(0)
    assert sent.recipients == ("ana@example.com", "jo@example.com", "li@example.com")
    assert parsed(sent)["Cc"] == "Jo <jo@example.com>, Li <li@example.com>"


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("text", "invalid_item"),
        ({"base64": 5}, "invalid_item"),
        ({"base64": "§§"}, "invalid_item"),
        ({"base64": "bm90IGEgbWFpbA=="}, "invalid_message"),
        (item(b"From: a@b.test\nTo: x\n\n" + b"\n" * 600_001), "invalid_message"),
    ],
)
async def test_what_is_no_mail_is_kept_and_reported(room: MailRoom, bad: Any, code: str) -> None:
    async with room.agent():
        room.queues.put(BOX, bad)
        report = await failed(room)
        assert (report["item"], report["queue"], report["error"]["code"]) == (bad, BOX, code)
        room.write(letter())
        (await room.backend.turn(0)).answer("still here")
        await room.smtp.mail(0)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (TurnEnded(EndReason.FAILED, ErrorInfo("/home/op/key is wrong", "model_failed")), "`model_failed`"),
        (TurnEnded(EndReason.INTERRUPTED), "was stopped before it was done"),
        (TurnEnded(EndReason.COMPLETED), "wrote no answer"),
    ],
)
async def test_a_turn_without_an_answer_is_answered_too(room: MailRoom, end: TurnEnded, words: str) -> None:
    async with room.agent():
        room.write(letter())
        (await room.backend.turn(0)).say(end)
        sent = await room.smtp.mail(0)
    assert words in body(sent)
    assert "/home/op" not in body(sent)
    assert parsed(sent)["Auto-Submitted"] == "auto-replied"


async def test_a_lost_backend_is_told(room: MailRoom) -> None:
    async with room.agent():
        room.write(letter())
        (await room.backend.turn(0)).vanish()
        sent = await room.smtp.mail(0)
    assert "could not finish the work" in body(sent)


async def test_files_the_agent_shows_are_attached(room: MailRoom) -> None:
    room.files.files = {"out/report.csv": b"a,b\n", ".emails/x/y/message.eml": b"somebody else's mail"}
    urls = (
        "data:image/png;base64,iVBORw==",
        "room:///out/report.csv",
        "room:///.emails/x/y/message.eml",
        "room:///out/../.emails/x/y/message.eml",
        "room:///missing",
        "https://example.com/x",
    )
    async with room.agent():
        room.write(letter())
        turn = await room.backend.turn(0)
        turn.say(*(FileShown(ItemId(f"f{n}"), url) for n, url in enumerate(urls)))
        turn.answer("See the files")
        sent = await room.smtp.mail(0)
    files: list[Any] = list(parsed(sent).iter_attachments())
    assert [(f.get_filename(), f.get_content()) for f in files] == [
        ("file-1.png", b"\x89PNG"),
        ("report.csv", "a,b\n"),
    ]
    assert body(sent).count("Not attached:") == 4
    assert "somebody else" not in sent.data.decode()


async def test_what_needs_an_approval_is_declined_at_once(tmp_path: Path, smtp: SmtpRoom) -> None:
    room = MailRoom(tmp_path, smtp, "chat", f"mail:{BOX}")
    async with room.agent():
        room.write(letter("rm -rf /", "ana <ana@example.com>"))
        turn = await room.backend.turn(0)
        robot = room.messaging.join("robot", "agent")
        robot.send("thread.open", thread_id=turn.thread_id)
        ref = ToolRef(ItemId("cmd"), "codex", "shell", "codex")
        turn.say(ToolStarted(ref, {}), ApprovalRequested(ref, {"command": "rm"}))
        await robot.wait("tool_call.log_delta")
        assert turn.decisions == [(ItemId("cmd"), Decision.UNANSWERED)]
        turn.answer("I could not")
        await smtp.mail(0)


async def test_no_server_is_told_at_the_start(room: MailRoom) -> None:
    with pytest.raises(UsageError, match="SMTP_HOSTNAME"):
        check_channels(room.channels, "bot", ChannelOptions())


# --- Mail that the agent begins ----------------------------------------------------------------------


async def test_whoever_writes_a_mail_cannot_have_others_written(tmp_path: Path, smtp: SmtpRoom) -> None:
    """Nobody is there to allow it: what a mail asks for stays between the agent and its sender."""
    room = MailRoom(tmp_path, smtp)
    async with room.agent(tools=ToolOptions(("mail",))):
        room.write(letter("write to li"))
        turn = await room.backend.turn(0)
        box, ref = turn.input.toolbox, ToolRef(ItemId("m"), "mail", "new_email_thread")
        assert box is not None
        assert [kit.name for kit in box.toolkits] == ["mail"]
        turn.say(ToolStarted(ref, {}))
        outcome = await box.call(ref, {"to": ["li@example.com"], "subject": "x", "text": "y"})
        assert isinstance(outcome, ErrorInfo)
        assert outcome.code == "declined"
        turn.answer("no")
        await smtp.mail(0)
    assert [sent.recipients for sent in smtp.mails] == [("ana@example.com",)]


def test_mail_is_begun_where_it_can_be_answered(tmp_path: Path) -> None:
    backend = BackendConfig("bot", tmp_path, tmp_path)
    config = AgentConfig("bot", backend, backends=("codex",), tools=ToolOptions(("mail",)))
    with pytest.raises(UsageError, match="--require-toolkit mail needs a channel"):
        create_backends(config)
