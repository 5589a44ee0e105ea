"""The published CLI, unmodified: it talks to our agent in our room and reads the threads our agent stored."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, JsonResult, LogLine
from process_agent.core.ids import ItemId
from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.contract.published.install import for_published, python_programs
from tests.fakes.backend import FakeBackend, PlayedTurn
from tests.fakes.room import ROOM, LocalRoom

pytestmark = for_published
SECONDS = 45.0


@dataclass(frozen=True)
class Done:
    code: int | None
    out: str
    err: str


class Meshagent:
    """The `meshagent` program with a token of our room."""

    def __init__(self, server: LocalRoom, folder: Path) -> None:
        home = folder / "cli-home"
        home.mkdir()
        kept = ("PATH", "LANG", "TMPDIR")
        self._env = {name: os.environ[name] for name in kept if name in os.environ} | {
            "HOME": str(home),
            "MESHAGENT_API_URL": server.url,
            "MESHAGENT_ROOM": ROOM,  # the room its token is for: it need not ask for another one
            "MESHAGENT_TOKEN": server.token("ana"),
            "MESHAGENT_PROJECT_ID": "local",
            "MESHAGENT_DISABLE_VERSION_CHECK": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "COLUMNS": "200",
        }
        self._program = str(python_programs() / "meshagent")

    async def process(self, command: str, *arguments: str) -> Done:
        """`meshagent process COMMAND --room … ARGUMENTS`, with the agent's name where it takes one."""
        words = ["process", command, *arguments, "--room", ROOM]
        words += ["--agent-name", AGENT] if command in {"use", "threads"} else []
        child = await asyncio.create_subprocess_exec(
            self._program,
            *words,
            env=self._env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(SECONDS):
                out, err = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.communicate()
            raise
        return Done(child.returncode, out.decode(), err.decode())


def work(turn: PlayedTurn, name: str, text: str) -> None:
    """A turn with one command and an answer in two pieces."""
    ref, item = e.ToolRef(ItemId(f"shell {name}"), "codex", "shell", "codex"), ItemId(f"answer {name}")
    turn.say(e.ToolStarted(ref, {"command": "pytest -q"}), e.ToolLog(ref, (LogLine("1 failed\n"),)))
    turn.say(e.ToolEnded(ref, JsonResult({"stdout": "1 failed\n", "stderr": "", "exit_code": 1})))
    half = len(text) // 2
    turn.say(e.TextStarted(item, "final_answer"), e.TextDelta(item, text[:half], "final_answer"))
    turn.say(e.TextDelta(item, text[half:], "final_answer"), e.TextEnded(item, "final_answer"))
    turn.end()


async def test_use_threads_messages_and_grep(server: LocalRoom, tmp_path: Path) -> None:
    cli, backend = Meshagent(server, tmp_path), FakeBackend()
    async with agent_in(server, tmp_path, [backend]):
        first = asyncio.ensure_future(cli.process("use", "--message", "fix the test"))
        work(await backend.turn(0), "one", "Fixed 1 0 0 ha ha\n\nof them.")
        used = await first
        assert (used.code, used.out.rstrip("\n")) == (0, "Fixed 1 0 0 ha ha\n\nof them."), used

        listed = await cli.process("threads", "-o", "json")
        (thread,) = json.loads(listed.out)
        assert thread["path"].startswith(f"dataset://agents/{AGENT}/threads/")
        assert thread["name"] == "fix the test"

        again = asyncio.ensure_future(
            cli.process("use", "--thread-id", thread["path"], "--message", "and the other one")
        )
        work(await backend.turn(1), "two", "That one was fine.")
        assert (await again).out.rstrip("\n") == "That one was fine."
    # The threads are read from the room alone: the agent has left.
    named = ("--thread-id", thread["path"])
    table, messages, found = await asyncio.gather(
        cli.process("threads", "-o", "table"),
        cli.process("messages", *named, "-o", "json"),
        cli.process("grep", "FIXED 1 0 0", *named),
    )
    assert "fix the test" in table.out
    _rows_as_the_reference_reads_them(json.loads(messages.out))
    assert "Fixed 1 0 0 ha ha" in found.out
    assert "That one was fine" not in found.out
    assert {done.code for done in (table, messages, found)} == {0}


def _rows_as_the_reference_reads_them(rows: list[dict[str, object]]) -> None:
    kinds = [str(row["type"]).removeprefix("meshagent.agent.") for row in rows]
    texts = [row["text"] for row, kind in zip(rows, kinds, strict=True) if kind == "text_content.delta"]
    assert texts == ["Fixed 1 0 0 ha ha\n\nof them.", "That one was fine."]
    assert "thread.status" not in kinds
    for kind in ("turn.start", "turn.start.accepted", "turn.started", "turn.ended", "text_content.ended"):
        assert kinds.count(kind) == 2, kind
    for kind in ("tool_call.started", "tool_call.log_delta", "tool_call.ended"):
        assert kinds.count(kind) == 2, kind
    one = [kind for kind, row in zip(kinds, rows, strict=True) if row["turn_id"] == rows[0]["turn_id"]]
    assert one[0] == "turn.start"
    assert one[-1] == "turn.ended"


async def test_a_failed_turn_says_why(server: LocalRoom, tmp_path: Path) -> None:
    cli, backend = Meshagent(server, tmp_path), FakeBackend()
    async with agent_in(server, tmp_path, [backend]):
        used = asyncio.ensure_future(cli.process("use", "--message", "try"))
        why = ErrorInfo("The model is out of order.", "model_failed")
        (await backend.turn(0)).say(e.TurnEnded(e.EndReason.FAILED, why))
        done = await used
        assert done.code != 0
        assert "The model is out of order." in done.out + done.err


async def test_threads_while_a_turn_runs(server: LocalRoom, tmp_path: Path) -> None:
    """Reading a thread disturbs nobody: the reference tidies up the table before it reads."""
    cli, backend = Meshagent(server, tmp_path), FakeBackend()
    async with agent_in(server, tmp_path, [backend]), chat_client(server, "ben") as ben:
        await ben.say("thread.start", "long work")
        thread = (await ben.wait("thread.started"))["thread_id"]
        turn = await backend.turn(0)
        item = ItemId("answer")
        turn.say(e.TextStarted(item), e.TextDelta(item, "half "))
        await ben.wait("text_content.delta")
        read = await cli.process("messages", "--thread-id", thread, "-o", "json")
        assert read.code == 0, read
        assert [row["type"].removeprefix("meshagent.agent.") for row in json.loads(read.out)][:2] == [
            "turn.start",
            "turn.start.accepted",
        ]
        turn.say(e.TextDelta(item, "and half"), e.TextEnded(item))
        turn.end()
        await ben.wait("turn.ended")
        await ben.send("thread.open", thread_id=thread, load=True)
        await ben.wait("thread.loaded")
        # What is sent again comes in the pieces that were sent before, and a client appends each once.
        pieces = {message["message_id"]: message["text"] for message in ben.all("text_content.delta")}
        assert "".join(pieces.values()) == "half and half"
