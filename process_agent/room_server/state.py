"""What a running room server writes into its data folder, and how others see whether it lives.

`room-server.json` holds {"url", "port", "pid", "data_dir", "instance"}; `room-server.lock` is locked as long
as a server runs, so there is never more than one per data folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from process_agent.config import DataPaths, unusable_folder
from process_agent.errors import RoomError

ANSWER_SECONDS = 3.0
"""How long a server has to answer a question of ours."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Longest answer that is read."""


class AlreadyRunningError(RoomError):
    """Another room server holds the data folder."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """A running server. `instance` tells this start from any other."""

    url: str
    port: int
    pid: int
    data_dir: str
    instance: str


def read_state(paths: DataPaths) -> ServerState | None:
    """What the data folder says about its server, which may have died since; None when it says nothing."""
    try:
        value = json.loads(paths.server_state.read_text())
        state = ServerState(**value)
    except (OSError, ValueError, TypeError):
        return None
    texts = (state.url, state.data_dir, state.instance)
    numbers = (state.port, state.pid)
    sound = all(isinstance(text, str) for text in texts) and all(type(number) is int for number in numbers)
    return state if sound else None


def write_state(paths: DataPaths, state: ServerState) -> None:
    """Write the state whole or not at all, readable by its owner."""
    draft = paths.server_state.with_suffix(f".{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(state), file)
        file.write("\n")
    draft.replace(paths.server_state)


def remove_state(paths: DataPaths, instance: str) -> None:
    """Remove the state that one start of the server wrote."""
    state = read_state(paths)
    if state is not None and state.instance == instance:
        paths.server_state.unlink(missing_ok=True)


def remember_port(paths: DataPaths, port: int) -> None:
    """Note the port for the next server."""
    paths.server_port.touch(mode=0o600)
    paths.server_port.write_text(str(port))


def last_port(paths: DataPaths) -> int | None:
    """The port of the last server; None when there was none, or the note is damaged."""
    try:
        port = int(paths.server_port.read_text())
    except (OSError, ValueError):
        return None
    return port if 0 < port < 65536 else None


def running(paths: DataPaths) -> ServerState | None:
    """The server of a data folder, if it answers and is the one that wrote the state."""
    state = read_state(paths)
    if state is None:
        return None
    try:
        status, answer = ask(state, "GET", "/healthz")
    except RoomError:
        return None
    return state if status == 200 and answer.get("instance") == state.instance else None


def ask(
    state: ServerState,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    token: str | None = None,
    seconds: float = ANSWER_SECONDS,
) -> tuple[int, dict[str, Any]]:
    """One request to a server: the status and the JSON object it answers. Raises `RoomError`."""
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    host = state.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=seconds)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        answer = json.loads(response.read(MAX_ANSWER_BYTES) or b"{}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RoomError(f"The room server at {state.url} does not answer: {error}.") from error
    finally:
        connection.close()
    return response.status, answer if isinstance(answer, dict) else {}


@contextlib.contextmanager
def holding(paths: DataPaths) -> Iterator[None]:
    """Hold the data folder. Raises `AlreadyRunningError`, or `UsageError` when it cannot be written."""
    try:
        prepare(paths.root)
        lock = os.open(paths.root / "room-server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unusable_folder(paths.root, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            state = read_state(paths)
            where = f" at {state.url}, process {state.pid}" if state else ""
            raise AlreadyRunningError(f"A room server runs for {paths.root} already{where}.") from error
        yield
    finally:
        os.close(lock)


def prepare(root: Path) -> None:
    """Make a folder for its owner only: the data folder, and below one others may see, the rooms."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
