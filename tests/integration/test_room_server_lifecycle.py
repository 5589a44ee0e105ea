"""The room server as a program: `process room` and `process token`, in their own processes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from process_agent.config import DataPaths
from process_agent.errors import RoomError, UsageError
from process_agent.room_server import lifecycle
from process_agent.room_server.state import AlreadyRunningError, last_port, read_state, running
from tests.fakes.program import TypedHere

_PROGRAM = "from process_agent.cli import main; main()"


def process(*arguments: object, code: int = 0) -> str:
    """Run a command; its output. Fails unless it exits with `code`."""
    command = [sys.executable, "-c", _PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[DataPaths]:
    """A data folder; what still runs in it afterwards is ended."""
    paths = DataPaths(tmp_path / "data")
    yield paths
    state = read_state(paths)
    if state is not None and running(paths) is not None:
        os.kill(state.pid, signal.SIGKILL)


def test_start_status_token_link_stop(paths: DataPaths) -> None:
    where = ("--data-dir", paths.root)
    state = json.loads(process("room", "start", "--port", 0, "--json", *where))
    assert state["data_dir"] == str(paths.root)
    status = json.loads(process("room", "status", "--json", *where))
    assert {"url", "port", "pid", "data_dir"} <= status.keys()
    assert status == state
    assert status["url"] == f"http://127.0.0.1:{status['port']}"
    again = json.loads(process("room", "start", "--json", *where))
    assert again["pid"] == state["pid"]
    link = process("room", "link", "--room", "demo", "--name", "me", *where).strip()
    assert link.startswith(f"{state['url']}/#code=")
    assert "runs on port" in process("room", "start", "--port", state["port"] - 1, *where, code=2)
    process("room", "stop", *where)
    assert not paths.server_state.exists()
    # Whoever stayed while the server was away looks for it where it was.
    assert json.loads(process("room", "start", "--json", *where))["port"] == state["port"]
    process("room", "stop", *where)
    paths.server_port.write_text("no port")
    assert last_port(paths) is None
    assert _ended(state["pid"])
    assert json.loads(process("room", "status", "--json", *where, code=1))["url"] is None
    assert "no room server" in process("room", "stop", *where)


def test_secret_files_are_for_their_owner_only(paths: DataPaths) -> None:
    lifecycle.start(paths, port=0)
    modes = {path.name: path.stat().st_mode & 0o777 for path in paths.root.iterdir() if path.is_file()}
    assert modes == {
        "room-server.json": 0o600, "room-server.lock": 0o600, "room-server.log": 0o600,
        "room-server.port": 0o600, "signing-key": 0o600,
    }  # fmt: skip
    lifecycle.stop(paths)


async def test_a_published_client_joins_with_a_token_from_the_command(paths: DataPaths) -> None:
    from meshagent.api import RoomClient, WebSocketClientProtocol

    state = lifecycle.start(paths, port=0)
    printed = process("token", "--room", "demo", "--identity", "bot", "--role", "agent",
                      "--data-dir", paths.root)  # fmt: skip
    assert printed.count("\n") == 1
    url = f"{state.url}/rooms/demo"
    protocol: Any = WebSocketClientProtocol(url=url, token=printed.strip())
    async with RoomClient(protocol_factory=protocol.create_factory()) as client:
        assert client.local_participant.get_attribute("name") == "bot"
        assert "dataset" in {toolkit.name for toolkit in await client.list_toolkits()}
    lifecycle.stop(paths)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--room", "Demo", "--identity", "a"), "room name"),
        (("--room", "demo", "--identity", " "), "identity"),
        (("--room", "demo", "--identity", "a", "--role", "king"), "role"),
        (("--room", "demo", "--identity", "a", "--ttl", "soon"), "duration"),
        (("--room", "demo", "--identity", "a", "--ttl", "0"), "duration"),
        (("--room", "demo"), "--identity"),
    ],
)
def test_tokens_that_make_no_sense_are_refused(tmp_path: Path, arguments: Any, says: str) -> None:
    program = TypedHere(tmp_path / "home", PROCESS_DATA_DIR=str(tmp_path / "data"))
    refused = program.run("token", *arguments)
    assert (refused.returncode, says in refused.stderr) == (2, True), refused


def test_serve_runs_in_the_foreground_until_sigterm(paths: DataPaths) -> None:
    paths.root.mkdir(mode=0o755)
    command = [sys.executable, "-c", _PROGRAM, "room", "serve", "--port", "0", "--data-dir", str(paths.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        state = running(paths)
        assert state is not None
        assert state.url in line
        assert state.pid == server.pid
        assert paths.rooms.stat().st_mode & 0o777 == 0o700  # whoever may look into the data folder
        with pytest.raises(AlreadyRunningError, match="runs for"):
            lifecycle.start(paths, port=0)
        assert lifecycle.ensure_running(paths) == state
        server.terminate()
        assert server.wait(20) == 0
    assert read_state(paths) is None


def test_a_killed_server_leaves_a_state_that_is_seen_through(paths: DataPaths) -> None:
    first = lifecycle.start(paths, port=0)
    handle = os.pidfd_open(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    _wait_for_end(handle)
    assert read_state(paths) == first
    assert running(paths) is None
    second = lifecycle.ensure_running(paths)
    assert second.port == first.port, "clients look for it where it was"
    assert second.instance != first.instance
    assert lifecycle.stop(paths) == second


def test_only_one_of_many_starts_wins(paths: DataPaths) -> None:
    states: list[Any] = []
    threads = [
        threading.Thread(target=lambda: states.append(lifecycle.ensure_running(paths, 0))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(states) == 3
    assert len({state.pid for state in states}) == 1
    lifecycle.stop(paths)


def test_a_port_in_use_is_named(paths: DataPaths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RoomError, match=f"Port {port} .* in use") as error:
            lifecycle.start(paths, port=port)
        assert "--port" in str(error.value)
        assert not isinstance(error.value, AlreadyRunningError)
        assert process("room", "start", "--port", port, "--data-dir", paths.root, code=4)


def test_a_foreign_program_on_the_recorded_port_is_left_alone(paths: DataPaths) -> None:
    """A state that names a living process and an answering port, but not our server."""
    state = lifecycle.start(paths, port=0)
    text = paths.server_state.read_text()
    with contextlib.closing(_Sleeper()) as sleeper:
        forged = {**json.loads(text), "pid": sleeper.pid, "instance": "another"}
        paths.server_state.write_text(json.dumps(forged))
        assert running(paths) is None
        with pytest.raises(RoomError, match="does not answer"):
            lifecycle.stop(paths)
        assert sleeper.alive
    paths.server_state.write_text(text)
    assert lifecycle.stop(paths) == state


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"url": 1, "port": "x", "pid": 1, "data_dir": "", "instance": ""}'],
)
def test_a_damaged_state_is_no_state(paths: DataPaths, text: str) -> None:
    paths.root.mkdir()
    paths.server_state.write_text(text)
    assert read_state(paths) is None
    assert lifecycle.stop(paths) is None


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    paths = DataPaths(tmp_path / "file" / "data")
    with pytest.raises(UsageError, match="--data-dir"):
        lifecycle.start(paths, port=0)
    assert str(paths.root) in process("room", "serve", "--data-dir", paths.root, code=2)


class _Sleeper:
    """A process that only sleeps."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(["sleep", "60"])
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def _ended(pid: int) -> bool:
    """Whether a process is gone, or dead and not yet collected by the system."""
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" in status.read_text()


def _wait_for_end(handle: int) -> None:
    select.select([handle], [], [], 20)
    os.close(handle)
