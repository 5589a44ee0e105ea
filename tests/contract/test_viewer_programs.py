"""`process chat` and `process threads` as programs: the real agent with the real Codex in the real room."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from process_agent.core.room import TableRef
from process_agent.rooms.join import JoinTarget, join_room
from tests.fakes.forked import Forked
from tests.fakes.forking import forks

ROOM = "chatting"
START_SECONDS = 50.0
PROGRAM = (sys.executable, "-c", "from process_agent.cli import main; main()")


class House:
    """One data folder with its room server and one agent in it."""

    def __init__(self, folder: Path) -> None:
        self.data, self.work = folder / "data", folder / "work"
        self.work.mkdir(parents=True)
        home = folder / "home"
        home.mkdir()
        kept = ("PATH", "LANG", "VIRTUAL_ENV", "PYTHONPATH", "TMPDIR")
        self.env = {name: os.environ[name] for name in kept if name in os.environ}
        self.env |= {"HOME": str(home), "TERM": "xterm-256color"}

    def command(self, *arguments: str) -> list[str]:
        return [*PROGRAM, *arguments, "--data-dir", str(self.data)]

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        child = self.start(*arguments)
        said, errors = child.communicate(text, timeout=50)
        return subprocess.CompletedProcess(child.args, child.wait(), said, errors)

    def start(self, *arguments: str) -> Forked:
        """Begin a command with its modules loaded."""
        return forks().start(["process", *arguments, "--data-dir", str(self.data)], self.env, self.work)

    def chat(
        self, message: str, *arguments: str, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.run("chat", "--room", ROOM, "--message", message, *arguments, text=text)

    def threads(self, *arguments: str) -> list[dict[str, Any]]:
        done = self.run("threads", *arguments, "--room", ROOM, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def rows(self) -> dict[str, list[Any]]:
        """What the room's dataset holds of all threads."""
        url = json.loads(self.run("room", "status", "--json").stdout)["url"]
        token = self.run("token", "--room", ROOM, "--identity", "reader", "--role", "agent").stdout.strip()
        return asyncio.run(rows_of(url, token))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    join = ["join", "--room", ROOM, "--agent-name", "codex-agent", "--channel", "chat", "--backend", "codex"]
    join += ["--provider", "scripted", "--local", "--port", "0", "--working-dir", str(house.work), "--json"]
    agent = house.start(*join)
    try:
        assert select.select([agent.stdout], [], [], START_SECONDS)[0], "the agent did not start in time"
        assert json.loads(agent.stdout.readline())["agent"] == "codex-agent"
        yield house
    finally:
        agent.terminate()
        agent.communicate(timeout=30)
        house.run("room", "stop")


def script(*actions: dict[str, Any]) -> str:
    return f"```script\n{json.dumps(list(actions))}\n```"


def test_one_turn_prints_its_answer_and_nothing_else(house: House) -> None:
    done = house.chat("say hello there")
    assert (done.stdout, done.stderr, done.returncode) == ("hello there\n", "", 0)


def test_json_has_every_event_and_the_thread_keeps_the_same_text(house: House) -> None:
    prompt = script({"say": "exact é 漢 text\n\nend", "pieces": ["ex", "act é", " 漢 text\n", "\nend"]})
    done = house.chat("-", "--json", text=prompt)
    assert (done.stderr, done.returncode) == ("", 0)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["type"].removeprefix("meshagent.agent.") for event in events]
    assert kinds[0] == "thread.started"
    assert kinds.count("turn.start.accepted") == kinds.count("turn.started") == kinds.count("turn.ended") == 1
    deltas = [event["text"] for event in events if event["type"].endswith("text_content.delta")]
    assert "".join(deltas) == "exact é 漢 text\n\nend"
    stored = house.threads("show", events[0]["thread_id"], "--agent-name", "codex-agent")
    (turn,) = [r for r in stored if r["type"] == "turn"]
    assert (turn["end"], turn["error"]) == ("completed", None)
    said = [r for r in stored if r["type"] == "message"]
    assert [(r["role"], r["text"]) for r in said] == [("user", prompt), ("agent", "exact é 漢 text\n\nend")]


def test_a_thread_goes_on_and_reading_it_writes_nothing(house: House) -> None:
    first = json.loads(house.chat("say one", "--json").stdout.splitlines()[0])
    thread = first["thread_id"]
    assert house.chat("say two", "--thread", thread.rsplit("/", 1)[-1]).stdout == "two\n"
    before = house.rows()
    listed = house.threads()
    assert (listed[0]["path"], listed[0]["name"]) == (thread, "say one")
    shown = house.threads("show", "1")
    assert [r["text"] for r in shown if r["type"] == "message"] == ["say one", "one", "say two", "two"]
    (resume,) = [r for r in shown if r["type"] == "resume"]
    assert re.fullmatch(r"CODEX_HOME=\S+/codex/codex-agent codex resume [0-9a-f-]{36}", resume["command"])
    paper = house.run("threads", "show", thread, "--room", ROOM)
    assert "› say two" in paper.stdout
    assert paper.stdout.endswith(f"\nGo on in a terminal: {resume['command']}\n")
    assert "\x1b" not in paper.stdout
    assert house.rows() == before


async def rows_of(url: str, token: str) -> dict[str, list[Any]]:
    """Every row of the agent's threads. How and when the room keeps them in files is its own."""
    place = ("agents", "codex-agent", "threads")
    async with join_room(JoinTarget(ROOM, url, token)) as room:
        return {
            name: [
                row
                async for batch in room.datasets.search(TableRef(name, place))
                for row in pa.table(batch).to_pylist()
            ]
            for name in sorted(await room.datasets.list_tables(place))
        }


@pytest.mark.parametrize(("approve", "decided"), [("always", True), ("never", False)])
def test_approvals_are_answered_as_told(house: House, approve: str, decided: bool) -> None:
    outside = script({"run": "echo outside", "escalate": "because"}, {"say": "over"})
    done = house.chat(outside, "--approve", approve)
    assert (done.stdout, done.returncode) == ("over\n", 0)
    (call,) = [r for r in house.threads("show", "1") if r.get("tool") == "shell"]
    assert ("outside" in call["text"]) is decided
    assert call["approved"] is decided


def test_a_failed_turn_is_exit_code_5(house: House) -> None:
    done = house.chat(script({"fault": 400, "message": "no more"}))
    assert (done.stdout, done.returncode) == ("", 5)
    assert done.stderr.startswith("process: The turn failed: ")
    assert "no more" in done.stderr
    assert [r["end"] for r in house.threads("show", "1") if r["type"] == "turn"] == ["failed"]


def test_a_turn_out_of_time_is_stopped_with_exit_code_6(house: House) -> None:
    done = house.chat(script({"sleep_ms": 60_000}, {"say": "late"}), "--timeout", "1")
    assert (done.stdout, done.returncode) == ("", 6)
    assert "did not end within 1 seconds and was stopped" in done.stderr
    assert [r["end"] for r in house.threads("show", "1") if r["type"] == "turn"] == ["interrupted"]


def test_ctrl_c_stops_the_turn_of_a_script(house: House) -> None:
    command = house.command("chat", "--room", ROOM, "--json", "--message", script({"sleep_ms": 60_000}))
    with subprocess.Popen(command, env=house.env, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while "turn.started" not in running.stdout.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
    assert [r["end"] for r in house.threads("show", "1") if r["type"] == "turn"] == ["interrupted"]


CHAT = ("chat", "--room", ROOM)
ONE = (*CHAT, "--message", "x")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (CHAT, 2, "needs a terminal"),
        ((*ONE, "--agent-name", "nobody", "--wait", "0.1"), 4, "codex-agent (agent)"),
        ((*ONE, "--model", "nope"), 2, "No model here is called 'nope'"),
        ((*ONE, "--thread", "nope"), 2, "There is no thread 'nope'"),
        (("threads", "show", "dataset://agents/a/threads/nope", "--room", ROOM), 4, "There is no thread"),
        (("threads", "--room", "empty"), 2, "There is no agent in empty"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    house: House, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = house.run(*arguments)
    assert (done.stdout, done.returncode) == ("", code)
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


# --- The interactive terminal -----------------------------------------------------------------------


class Terminal:
    """A person at a terminal: answers its questions about the cursor, types, and reads."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(command, env=env, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.seen = ""

    def types(self, text: str) -> None:
        os.write(self._master, text.encode())

    def sees(self, wanted: str, seconds: float = 15.0) -> None:
        until = time.monotonic() + seconds
        while wanted not in self.seen:
            left = until - time.monotonic()
            assert left > 0, f"never saw {wanted!r} in {self.seen[-2000:]!r}"
            if select.select([self._master], [], [], left)[0] and not self._read():
                raise AssertionError(f"it ended without {wanted!r}: {self.seen[-2000:]!r}")

    def _read(self) -> bool:
        try:
            piece = os.read(self._master, 65536).decode(errors="replace")
        except OSError:
            return False
        for _ in range(piece.count("\x1b[6n")):
            self.types("\x1b[1;1R")
        self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", piece)
        return bool(piece)

    def ends(self) -> int:
        while self._read():
            pass
        return self.process.wait(20)

    def close(self) -> None:
        os.close(self._master)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def terminal(house: House) -> Iterator[Terminal]:
    terminal = Terminal(house.command("chat", "--room", ROOM), house.env)
    yield terminal
    terminal.close()


def test_the_interactive_terminal(house: House, terminal: Terminal) -> None:
    terminal.sees("codex-agent in chatting")
    terminal.types("say **bold** words\r")
    terminal.sees("bold words")
    terminal.sees("✓")
    terminal.types(script({"run": "sleep 30"}).replace("\n", "\x1b\r") + "\r")
    terminal.sees("○ $ sleep 30")
    terminal.types("\x03")
    terminal.sees("■ stopped")
    terminal.types("\x03")
    assert terminal.ends() == 0
    assert (
        "Go on with: process chat --room chatting --thread dataset://agents/codex-agent/threads/"
        in terminal.seen
    )
    assert "Traceback" not in terminal.seen
    assert [r["end"] for r in house.threads("show", "1") if r["type"] == "turn"] == [
        "completed",
        "interrupted",
    ]


def test_a_file_that_codex_shows_is_saved(house: House, terminal: Terminal, tmp_path: Path) -> None:
    show = {"call": "attach_file", "namespace": "chat", "arguments": {"path": "a b.txt"}}
    terminal.sees("codex-agent in chatting")
    terminal.types(script({"run": "echo soup > 'a b.txt'"}, show).replace("\n", "\x1b\r") + "\r")
    terminal.sees("/save 'a b.txt'")
    terminal.sees("✓")
    terminal.types(f"/save 'a b.txt' {tmp_path}\r")
    terminal.sees("Saved /")
    terminal.types("\x04")
    assert terminal.ends() == 0
    assert (tmp_path / "a b.txt").read_bytes() == b"soup\n"
