"""Mail with published clients, the real local room, the real Codex and the program itself."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from process_agent.agent.channels import ChannelOptions
from process_agent.agent.tools.sources import ToolOptions
from process_agent.config import SmtpSettings
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.contract.codex_room import script
from tests.fakes.backend import FakeBackend
from tests.fakes.mail_room import BOX, item, letter
from tests.fakes.program import Loaded, Program, Started
from tests.fakes.room import LocalRoom
from tests.fakes.smtp import SmtpRoom, smtp_server

CHANNELS = ("chat", f"mail:{BOX}")
NAMESPACE = ["dataset:", "agents", AGENT, "threads"]
"""Where the published mail channel looks with its default flags."""


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpRoom]:
    async with smtp_server() as mail_server:
        yield mail_server


def options(smtp: SmtpRoom) -> ChannelOptions:
    return ChannelOptions(smtp=SmtpSettings(hostname="127.0.0.1", port=smtp.port))


async def row(client: Any, mail_id: str) -> dict[str, Any]:
    """A row as the published channel asks for it."""
    found = await client.datasets.search(table="emails", where={"id": mail_id}, namespace=NAMESPACE)
    (one,) = found.to_pylist()
    return dict(one)


async def test_mail_and_answer_are_where_published_programs_look(
    server: LocalRoom, smtp: SmtpRoom, tmp_path: Path
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend], channels=CHANNELS, options=options(smtp)),
        server.client("mailman", "agent") as mailman,
        chat_client(server, "ana") as ana,
    ):
        await ana.send("thread.watch")
        await ana.send("models.request")
        await ana.wait("models.response")
        message = letter("see the file", Message_ID="<1@x>")
        message.add_attachment(b"1,2\n", maintype="text", subtype="csv", filename="data.csv")
        await mailman.queues.send(name=BOX, message=item(message))
        turn = await backend.turn(0)
        created = (await ana.wait("thread.created"))["thread"]
        assert (created["path"], created["name"]) == (turn.thread_id, "Question")
        turn.answer("Seen.")
        sent = (await smtp.mail(0)).mail
        asked, answered = await row(mailman, "<1@x>"), await row(mailman, sent.id)
        assert (asked["role"], answered["role"]) == ("user", "agent")
        assert asked["thread_id"] == answered["thread_id"] == turn.thread_id
        document = json.loads(asked["json"])
        assert document["thread_id"] == turn.thread_id
        stored = await mailman.storage.download(path=document["attachments"][0])
        assert stored.data == b"1,2\n"
        assert (await mailman.storage.download(path=document["path"])).data
        schema = await mailman.datasets.inspect(table="emails", namespace=NAMESPACE)
        assert {field.name: str(field.type) for field in schema} == dict.fromkeys(
            ("id", "thread_id", "in_reply_to", "role", "json"), "string"
        )
        rows = [entry for entry in (asked, answered) if entry["in_reply_to"] == "<1@x>"]
        assert rows == [answered]


async def test_codex_begins_a_mail_and_the_reply_comes_to_its_thread(
    server: LocalRoom, smtp: SmtpRoom, tmp_path: Path
) -> None:
    arguments = {"to": ["jo@example.com"], "subject": "Lunch", "text": "At one?", "files": ["menu.txt"]}
    write = {"call": "new_email_thread", "namespace": "mail", "arguments": arguments}
    async with (
        ScriptedServer() as model,
        agent_in(
            server,
            tmp_path,
            model=model,
            channels=CHANNELS,
            options=options(smtp),
            tools=ToolOptions(("mail",)),
        ),
        server.client("mailman", "agent") as mailman,
        chat_client(server, "ana") as ana,
    ):
        await ana.say("thread.start", script({"run": "echo soup > menu.txt"}, write, {"report": True}))
        asked = await ana.wait("tool_call.approval_requested")
        assert (asked["toolkit"], asked["tool"], asked["arguments"]) == ("mail", write["call"], arguments)
        assert "to jo@example.com." in json.dumps(asked["metadata"])
        assert smtp.tries == 0, "nothing leaves before somebody allowed it"
        about = {name: asked[name] for name in ("thread_id", "turn_id", "item_id")}
        await ana.send("tool_call.approve", **about)
        sent = await smtp.mail(0)
        assert sent.recipients == ("jo@example.com",)
        assert [(file.name, file.data) for file in sent.mail.attachments] == [("menu.txt", b"soup\n")]
        await ana.wait("turn.ended")
        assert "The mail was sent to jo@example.com." in ana.texts()
        assert (await row(mailman, sent.mail.id))["thread_id"] == asked["thread_id"]
        reply = letter("one is fine", "Jo <jo@example.com>", Message_ID="<r@x>", In_Reply_To=sent.mail.id)
        await mailman.queues.send(name=BOX, message=item(reply))
        begun = await ana.wait("turn.started", thread_id=asked["thread_id"])
        assert "one is fine" in begun["content"][0]["text"]
        answer = await smtp.mail(1)
        assert (answer.recipients, answer.mail.in_reply_to) == (("jo@example.com",), "<r@x>")


async def test_ids_cannot_ask_the_table_for_anything_else(
    server: LocalRoom, smtp: SmtpRoom, tmp_path: Path
) -> None:
    backend = FakeBackend()
    ids = ("<a'b;c--d\"e@x>", "<'OR'1'='1@x>", "<%_@x>")
    head = f"From: ana@example.com\r\nTo: {BOX}\r\nSubject: x\r\n"
    async with (
        agent_in(server, tmp_path, [backend], channels=CHANNELS, options=options(smtp)),
        server.client("mailman", "agent") as mailman,
    ):
        threads = []
        for number, odd in enumerate(ids):
            raw = f"{head}Message-ID: {odd}\r\n\r\nhello"
            more = f"{head}Message-ID: <{number}@x>\r\nIn-Reply-To: {odd}\r\n\r\nmore"
            for mail in (raw, raw, more):
                await mailman.queues.send(name=BOX, message=item(mail.encode()))
            for turn_number in (2 * number, 2 * number + 1):
                turn = await backend.turn(turn_number)
                turn.answer("hi")
                threads.append(turn.thread_id)
            await smtp.mail(2 * number + 1)
    assert len(backend.turns) == 2 * len(ids)
    assert threads[0::2] == threads[1::2]
    assert len(set(threads)) == len(ids)


async def test_mail_waits_for_the_agent_and_is_answered_once(
    server: LocalRoom, smtp: SmtpRoom, tmp_path: Path
) -> None:
    first, second = FakeBackend(), FakeBackend()
    async with server.client("mailman", "agent") as mailman:
        await mailman.queues.send(name=BOX, message=item(letter("early", Message_ID="<1@x>")))
        async with agent_in(server, tmp_path, [first], channels=CHANNELS, options=options(smtp)):
            (await first.turn(0)).answer("good morning")
            answer = (await smtp.mail(0)).mail
        await mailman.queues.send(name=BOX, message=item(letter("early", Message_ID="<1@x>")))
        reply = letter("thanks", Message_ID="<2@x>", In_Reply_To=answer.id)
        await mailman.queues.send(name=BOX, message=item(reply))
        async with agent_in(server, tmp_path, [second], channels=CHANNELS, options=options(smtp)):
            turn = await second.turn(0)
            assert turn.text.endswith("thanks\n") or turn.text.endswith("thanks")
            assert turn.thread_id == first.turns[0].thread_id
            turn.answer("welcome")
            await smtp.mail(1)
    assert [received.mail.text for received in smtp.mails] == ["good morning", "welcome"]


async def test_a_conversation_by_mail_with_the_real_codex(
    server: LocalRoom, smtp: SmtpRoom, tmp_path: Path
) -> None:
    async with (
        ScriptedServer() as model,
        agent_in(server, tmp_path, model=model, channels=CHANNELS, options=options(smtp)),
        server.client("mailman", "agent") as mailman,
    ):
        prompt = script({"run": "echo out > made.txt"}, {"say": "Made **it**."})
        await mailman.queues.send(name=BOX, message=item(letter(prompt, Message_ID="<1@x>")))
        first = (await smtp.mail(0)).mail
        assert first.text.endswith("Made **it**.")
        assert (tmp_path / "work" / "made.txt").read_text() == "out\n"
        again = letter(script({"say": "Still here."}), Message_ID="<2@x>", In_Reply_To=first.id)
        await mailman.queues.send(name=BOX, message=item(again))
        second = (await smtp.mail(1)).mail
        assert second.text.endswith("Still here.")
        rows = [await row(mailman, mail_id) for mail_id in ("<1@x>", "<2@x>", first.id, second.id)]
        assert len({entry["thread_id"] for entry in rows}) == 1


JOIN = "join --local --room demo --agent-name bot --backend codex --provider scripted --channel"


async def test_the_program_says_what_is_missing(tmp_path: Path) -> None:
    program = Loaded(tmp_path / "home", PROCESS_DATA_DIR=str(tmp_path / "data"))
    told = await asyncio.to_thread(program.run, f"{JOIN} mail:{BOX}")
    assert told.returncode == 2
    assert "Set SMTP_HOSTNAME" in told.stderr
    assert not (tmp_path / "data" / "room-server.json").exists()


async def test_the_program_answers_mail_also_when_it_was_killed(tmp_path: Path, smtp: SmtpRoom) -> None:
    program = Loaded(
        tmp_path / "home",
        PROCESS_DATA_DIR=str(tmp_path / "data"),
        SMTP_HOSTNAME="127.0.0.1",
        SMTP_PORT=str(smtp.port),
    )
    try:
        async with _running(program) as (agent, said):
            assert f"mail:{BOX}" in said
            await _send(program, tmp_path, "<1@x>", {"say": "Hello by mail."})
            answer = (await smtp.mail(0)).mail
            assert answer.text.endswith("Hello by mail.")
            assert answer.in_reply_to == "<1@x>"
            begun = program.work / "begun"
            os.mkfifo(begun)
            await _send(program, tmp_path, "<2@x>", {"run": "echo yes > begun; sleep 60"})
            assert await asyncio.to_thread(begun.read_text) == "yes\n"
            agent.kill()
        async with _running(program):
            notice = (await smtp.mail(1)).mail
    finally:
        await asyncio.to_thread(program.stop_room)
    assert notice.in_reply_to == "<2@x>"
    assert "was stopped before it was done" in notice.text


@asynccontextmanager
async def _running(program: Program) -> AsyncIterator[tuple[Started, str]]:
    running = program.running(f"{JOIN} mail:{BOX}")
    started = await asyncio.to_thread(running.__enter__)
    try:
        yield started
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def _send(program: Program, tmp_path: Path, mail_id: str, action: dict[str, Any]) -> None:
    from meshagent.api import RoomClient, WebSocketClientProtocol

    state = json.loads((tmp_path / "data" / "room-server.json").read_text())
    token = await asyncio.to_thread(program.run, "token --room demo --identity mailman --role agent")
    url = f"{state['url'].replace('http', 'ws')}/rooms/demo"
    protocol: Any = WebSocketClientProtocol(url=url, token=token.stdout.strip())
    async with RoomClient(protocol_factory=protocol.create_factory()) as mailman:
        message = letter(script(action), Message_ID=mail_id)
        await mailman.queues.send(name=BOX, message=item(message))
