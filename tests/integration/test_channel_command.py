"""The command channel of a whole agent, with a real child process that the test plays."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from process_agent.channels import outbox
from process_agent.channels.command import channel as module
from process_agent.channels.command import program as program_module
from process_agent.channels.command.program import Launch
from process_agent.core import events as e
from process_agent.core.ids import ItemId
from process_agent.errors import ProcessError, TimeLimitError, UsageError
from process_agent.io.backoff import Backoff
from tests.fakes.memory_store import DIRECTORY
from tests.fakes.played_program import PREFIX, PlayedProgram, ProgramRoom

ITEM = ItemId("answer")
REF = e.ToolRef(ITEM, "codex", "shell")


@pytest.fixture
async def room(tmp_path: Path) -> ProgramRoom:
    return ProgramRoom(tmp_path)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are started again without a pause."""
    monkeypatch.setattr(
        module.CommandChannel.__init__, "__kwdefaults__", {"users": False, "backoff": Backoff(0, 0)}
    )


def types(program: PlayedProgram) -> list[str]:
    return [envelope["data"]["type"].removeprefix(PREFIX) for envelope in program.got]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def is_there(url: str) -> bool:
    path = Path(url.removeprefix("unix://"))
    return path.exists() or path.parent.exists()


def said_to(stranger: socket.socket) -> bytes:
    with stranger:
        stranger.settimeout(5)
        try:
            return stranger.recv(1)
        except ConnectionResetError:
            return b""


async def until_gone(pid: int) -> None:
    descriptor = os.pidfd_open(pid) if not gone(pid) else None
    if descriptor is not None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, ended.set)
        await ended.wait()
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


async def test_a_turn_of_a_program(room: ProgramRoom) -> None:
    async with room.agent() as agent:
        program = await room.programs.get()
        assert agent.ready.channels[1].startswith("command:python")
        thread = f"{DIRECTORY}/from-outside"
        source = program.say("turn.start", "hello", "line-1", thread_id=thread)
        turn = await room.backend.turn(0)
        assert (turn.text, turn.input.sender_name, turn.thread_id) == ("hello", "line-1", thread)
        turn.answer("hi")
        started = await program.wait("turn.started", source_message_id=source)
        assert "to_participant_id" not in started
        ended = await program.wait("turn.ended")
        assert ended["data"]["turn_id"] == started["data"]["turn_id"]
        said = [x["data"]["text"] for x in program.got if x["data"]["type"].endswith("text_content.delta")]
        assert "".join(said) == "hi"
        assert types(program).count("turn.started") == types(program).count("turn.ended") == 1


async def test_answers_go_to_who_asked(room: ProgramRoom) -> None:
    async with room.agent():
        program = await room.programs.get()
        source = program.send("thread.list", "line-1")
        listed = await program.wait("thread.listed", source_message_id=source)
        assert (listed["to_participant_id"], listed["sender"]["id"]) == ("line-1", "line-1")
        source = program.say("thread.start", "hello", "line-2")
        started = await program.wait("thread.started", source_message_id=source)
        assert (started.get("to_participant_id"), started["sender"]["id"]) == (None, "line-2")
        program.send("thread.open", "line-1", thread_id=started["data"]["thread_id"], load=True)
        loaded = await program.wait("thread.loaded")
        assert loaded["to_participant_id"] == "line-1"
        source = program.send("thread.list")
        assert "sender" not in await program.wait("thread.listed", source_message_id=source)


async def test_a_program_sees_what_others_do(room: ProgramRoom) -> None:
    async with room.agent():
        program = await room.programs.get()
        ana = room.messaging.join("ana")
        ana.send("thread.start", content=[{"type": "text", "text": "hello"}])
        turn = await room.backend.turn(0)
        turn.answer("for Ana")
        await program.wait("turn.started")
        await program.wait("turn.ended")
        assert [x for x in program.got if "to_participant_id" in x] == []
        await ana.wait("turn.ended")
        assert ana.text() == "for Ana"


async def test_a_program_joins_a_thread_of_people(room: ProgramRoom) -> None:
    async with room.agent():
        program = await room.programs.get()
        ana = room.messaging.join("ana")
        ana.send("thread.start", content=[{"type": "text", "text": "hello"}])
        thread = (await ana.wait("thread.started"))["thread_id"]
        (await room.backend.turn(0)).answer("one")
        await ana.wait("turn.ended")
        program.say("turn.start", "and now?", "line-1", thread_id=thread)
        (await room.backend.turn(1)).answer("two", "other")
        asked = await ana.wait("turn.start.accepted")
        assert asked["sender_name"] == "line-1"
        await ana.wait("turn.ended")
        assert ana.text("other") == "two"


async def test_senders_are_no_people_unless_the_operator_says_so(room: ProgramRoom) -> None:
    async with room.agent():
        program = await room.programs.get()
        boss = {"id": "boss", "attributes": {"name": "Boss", "role": "user"}}
        program.say("thread.start", "do it", boss)
        turn = await room.backend.turn(0)
        turn.say(e.ToolStarted(REF, {}), e.ApprovalRequested(REF, {}, None))
        asked = (await program.wait("tool_call.approval_requested"))["data"]
        what = {name: asked[name] for name in ("thread_id", "turn_id", "item_id")}
        program.send("tool_call.approve", boss, **what)
        await program.asked()
        assert turn.decisions == []
        turn.end()


@pytest.mark.parametrize(("attributes", "decided"), [({"role": "user"}, 1), ({}, 1), ({"role": "agent"}, 0)])
async def test_a_program_that_may_speak_for_people(
    room: ProgramRoom, attributes: dict[str, str], decided: int
) -> None:
    async with room.agent(users=True):
        program = await room.programs.get()
        boss = {"id": "boss", "attributes": attributes}
        program.say("thread.start", "do it", boss)
        turn = await room.backend.turn(0)
        turn.say(e.ToolStarted(REF, {}), e.ApprovalRequested(REF, {}, None))
        asked = (await program.wait("tool_call.approval_requested"))["data"]
        what = {name: asked[name] for name in ("thread_id", "turn_id", "item_id")}
        program.send("tool_call.approve", boss, **what)
        await program.asked()
        assert len(turn.decisions) == decided
        turn.end()


async def test_what_a_program_is_given(room: ProgramRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    async with room.agent("--flag", "two words", environment={"MESHAGENT_ROOM": "demo"}):
        program = await room.programs.get()
        assert program.hello["arguments"] == ["--flag", "two words"]
        assert program.hello["cwd"] == str(room.folder)
        environment = program.environment
        assert environment["MESHAGENT_ROOM"] == "demo"
        assert len(environment["MESHAGENT_CHANNEL_CAPABILITY"]) >= 32
        assert "OPENAI_API_KEY" not in environment
        await program.asked()
        assert not is_there(environment["MESHAGENT_CHANNEL_URL"]), "nobody else can connect"


async def test_a_short_path_for_the_socket(room: ProgramRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    long = room.folder / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(long))
    async with room.agent():
        program = await room.programs.get()
        assert program.environment["MESHAGENT_CHANNEL_URL"].startswith("unix:///tmp/process-")
        assert list(long.iterdir()) == []


async def test_a_second_connection_and_a_wrong_capability_are_refused(room: ProgramRoom) -> None:
    seen: dict[str, Any] = {}

    def play(program: PlayedProgram) -> None:
        path = program.environment["MESHAGENT_CHANNEL_URL"].removeprefix("unix://")
        seen["mode"] = os.stat(path).st_mode, os.stat(Path(path).parent).st_mode
        stranger = socket.socket(socket.AF_UNIX)
        stranger.connect(path)
        stranger.sendall(msgspec.msgpack.encode({"capability": "x" * 43}))
        seen["stranger"] = stranger
        program.prove()

    async with room.agent(play=play):
        program = await room.programs.get()
        await program.asked()
        assert seen["mode"][1] & 0o777 == 0o700
        assert await asyncio.to_thread(said_to, seen["stranger"]) == b""


@pytest.mark.parametrize(
    "first",
    [
        msgspec.msgpack.encode({"capability": "wrong"}),
        msgspec.msgpack.encode({"capability": 7}),
        msgspec.msgpack.encode({"data": {"type": f"{PREFIX}models.request"}}),
        b"\xc1",
        b"\xdb\xff\xff\xff\xff" + b"x" * 10_000,
    ],
)
async def test_a_program_that_does_not_prove_itself_is_not_heard(
    room: ProgramRoom, first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_module, "CONNECT_SECONDS", 5.0)
    with pytest.raises(UsageError, match="did not connect"):
        async with room.agent(play=lambda program: program.raw(first)):
            pass
    program = room.programs.get_nowait()
    await program.ended()
    assert program.got == []
    await until_gone(program.hello["pid"])


async def test_a_program_that_never_connects(room: ProgramRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    assert program_module.CONNECT_SECONDS == 10
    monkeypatch.setattr(program_module, "CONNECT_SECONDS", 0.2)
    with pytest.raises(TimeLimitError, match="did not connect in 0 s"):
        async with room.agent(mode="silent"):
            pass


async def test_a_program_that_dies_at_once_tells_why(room: ProgramRoom) -> None:
    with pytest.raises(ProcessError, match=r"(?s)ended with status 3.*no such luck"):
        async with room.agent(mode="dies"):
            pass


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'no-such-program' is not there"):
        Launch(("no-such-program",), {"PATH": os.environ["PATH"]}, tmp_path).found()


@pytest.mark.usefixtures("at_once")
async def test_a_program_that_ends_is_started_again_and_turns_go_on(room: ProgramRoom) -> None:
    async with room.agent():
        program = await room.programs.get()
        ana = room.messaging.join("ana")
        source = program.say("thread.start", "hello", "line-1")
        thread = (await program.wait("thread.started", source_message_id=source))["data"]["thread_id"]
        program.send("thread.open", "line-1", thread_id=thread)
        ana.send("thread.open", thread_id=thread)
        turn = await room.backend.turn(0)
        program.hang_up()
        again = await room.programs.get()
        await until_gone(program.hello["pid"])
        capability = "MESHAGENT_CHANNEL_CAPABILITY"
        assert again.environment[capability] != program.environment[capability]
        await again.asked()
        turn.answer("still here")
        await ana.wait("turn.ended")
        assert ana.text() == "still here"
        await again.wait("turn.ended")
        assert [x for x in again.got[1:] if "to_participant_id" in x] == []


@pytest.mark.usefixtures("at_once")
async def test_garbage_in_the_stream_ends_the_run(room: ProgramRoom) -> None:
    async with room.agent():
        for garbage in (b"\xc1", b"\xdb\xff\xff\xff\xff", b"\x91" * 100):
            program = await room.programs.get()
            program.raw(garbage)
            await program.ended()
        await (await room.programs.get()).asked()


async def test_useless_values_cost_nothing_else(room: ProgramRoom) -> None:
    async with room.agent():
        program = await room.programs.get()
        for value in (
            7,
            {},
            {"data": 1},
            {"data": {"type": 1}},
            {"data": {"type": f"{PREFIX}turn.start"}, "sender": "ana"},
            {"data": {"type": f"{PREFIX}turn.start"}, "sender": {"id": " "}},
            {"data": {"type": f"{PREFIX}turn.start"}, "sender": {"id": "x", "attributes": 1}},
            {"data": {"type": f"{PREFIX}turn.start", "content": b"x"}},
            {"data": {"type": f"{PREFIX}thread.list"}, "to_participant_id": 1},
            {"data": {"type": f"{PREFIX}turn.ended", "thread_id": "t"}, "to_participant_id": "p1"},
            {"data": {"type": f"{PREFIX}dance"}},
        ):
            program.value(value)
        await program.asked()
        assert types(program) == ["models.response"]
        source = program.send("turn.start", "line-1")
        rejected = await program.wait("turn.start.rejected", source_message_id=source)
        assert (rejected["sender"]["id"], "to_participant_id" in rejected) == ("line-1", False)


async def test_a_participant_the_program_says_left_views_nothing(room: ProgramRoom) -> None:
    async with room.agent():
        program = await room.programs.get()
        source = program.say("thread.start", "hello", "line-1")
        thread = (await program.wait("thread.started", source_message_id=source))["data"]["thread_id"]
        program.send("thread.open", "line-1", thread_id=thread, load=True)
        await program.wait("thread.loaded")
        program.send("participant.disconnect", "line-1", participant_id="line-1")
        await program.asked()
        (await room.backend.turn(0)).answer("bye")
        await program.wait("turn.ended")
        assert types(program).count("turn.ended") == 1


async def test_the_quietest_sender_makes_room(room: ProgramRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PARTICIPANTS", 2)
    async with room.agent():
        program = await room.programs.get()
        for number in range(5):
            source = program.send("thread.list", f"line-{number}")
            await program.wait("thread.listed", source_message_id=source)


@pytest.mark.usefixtures("at_once")
async def test_a_program_that_does_not_read_begins_anew(
    room: ProgramRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_MESSAGES", 50)
    async with room.agent():
        program = await room.programs.get()
        ana = room.messaging.join("ana")
        ana.send("thread.start", content=[{"type": "text", "text": "hello"}])
        turn = await room.backend.turn(0)
        for number in range(150):
            item = ItemId(f"i{number}")
            turn.say(
                e.TextStarted(item, None), e.TextDelta(item, "x" * 200_000, None), e.TextEnded(item, None)
            )
            await ana.wait("text_content.ended", item_id=item)
        again = await room.programs.get()
        await again.asked()
        turn.end()
        await again.wait("turn.ended")
        await until_gone(program.hello["pid"])


@pytest.mark.usefixtures("at_once")
async def test_a_program_that_keeps_dying_is_given_up(
    room: ProgramRoom, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_FAILURES", 3)
    async with room.agent():
        runs = 0
        while "is not started again" not in caplog.text:
            try:
                async with asyncio.timeout(0.2):
                    (await room.programs.get()).hang_up()
                runs += 1
            except TimeoutError:
                continue
        assert runs == 4
        ana = room.messaging.join("ana")
        ana.send("thread.start", content=[{"type": "text", "text": "hello"}])
        (await room.backend.turn(0)).answer("fine without it")
        await ana.wait("turn.ended")


async def test_the_end_of_the_agent_is_the_end_of_the_program(room: ProgramRoom) -> None:
    async with room.agent():
        program = await room.programs.get()
        program.say("thread.start", "hello", "line-1")
        turn = await room.backend.turn(0)
        turn.answer("last words")
    await program.ended()
    assert types(program).count("turn.ended") == 1
    await until_gone(program.hello["pid"])
