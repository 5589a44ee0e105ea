"""Start, stop and look at the local room's server, in the foreground or the background."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from process_agent.config import DEFAULT_PORT, DataPaths, environment_for_child, unusable_folder
from process_agent.errors import ProcessError, RoomError, UsageError
from process_agent.room_server.keys import signing_key
from process_agent.room_server.state import (
    AlreadyRunningError,
    ServerState,
    ask,
    holding,
    last_port,
    prepare,
    read_state,
    remember_port,
    remove_state,
    running,
    write_state,
)
from process_agent.wire import participant_token
from process_agent.wire.participant_token import ParticipantToken

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from process_agent.room_server.server import RoomServer

LOOPBACK = "127.0.0.1"

START_SECONDS = 30.0
"""How long a server has to become ready."""

STOP_SECONDS = 20.0
"""How long a server has to end."""

MAX_LOG_BYTES = 4 * 1024 * 1024
"""A log longer than this is set aside, in place of the previous one, when the server starts."""

_BACKGROUND = "process_agent.cli.room_background"
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
_LINK_SECONDS = 60

type OnReady = Callable[[ServerState], None]


def serve(
    paths: DataPaths, *, host: str = LOOPBACK, port: int | None = None, page: Sequence[BaseRoute] = (),
    on_ready: OnReady,
) -> None:  # fmt: skip
    """Run the server until SIGTERM or Ctrl-C. `port` None takes the usual port, or a free one.

    Raises `UsageError` for a data folder or address that cannot be used, `RoomError` when the port is in use
    and `AlreadyRunningError` when another server holds the data folder.
    """
    with holding(paths):
        prepare(paths.rooms)
        key = signing_key(paths.signing_key)
        asyncio.run(_serve(paths, key, (host, port), page, on_ready))


def start(paths: DataPaths, *, host: str = LOOPBACK, port: int | None = None) -> ServerState:
    """Start the server in the background and return when it is ready. Raises as `serve` does."""
    reader, writer = os.pipe()
    try:
        _launch(paths, host, port, writer)
    finally:
        os.close(writer)
    with open(reader, "rb") as pipe:
        return _outcome(paths, _read_until_end(pipe.fileno()))


def ensure_running(paths: DataPaths, port: int | None = None, *, host: str = LOOPBACK) -> ServerState:
    """The running server of a data folder, started in the background when there is none.

    Raises `UsageError` when it runs on another port than `port`, otherwise as `serve` does.
    """
    state = running(paths)
    if state is None:
        try:
            state = start(paths, host=host, port=port)
        except AlreadyRunningError:
            # Somebody else starts it right now.
            state = _wait_for_answer(paths)
    if port not in (None, 0, state.port):
        raise UsageError(
            f"The room server of {paths.root} runs on port {state.port} already, not on {port}.",
            fix="Leave --port away, stop it with process room stop, or choose another --data-dir.",
        )
    return state


def stop(paths: DataPaths) -> ServerState | None:
    """End the server and wait until it is gone; None when none was running. Raises `RoomError`.

    The recorded process gets a signal only after the server itself answered with the recorded instance.
    """
    state = running(paths)
    if state is None:
        _check_not_hung(paths)
        paths.server_state.unlink(missing_ok=True)
        return None
    if not _end(state.pid):
        raise RoomError(
            f"The room server did not end within {STOP_SECONDS:.0f} s; it is process {state.pid}."
        )
    return state


def studio_link(paths: DataPaths, state: ServerState, room: str, name: str) -> str:
    """A link that opens Studio in `room` as `name`, good for one use within an hour. Raises `RoomError`."""
    expires = int(time.time()) + _LINK_SECONDS
    admin = ParticipantToken("process", None, "tool", participant_token.admin_api(), expires)
    token = participant_token.encode(admin, signing_key(paths.signing_key))
    status, answer = ask(state, "POST", "/codes", {"room": room, "name": name}, token)
    if status != 200:
        reason = answer.get("error", {}).get("message", f"status {status}")
        raise RoomError(f"The room server gave no link: {reason}")
    return f"{state.url}/#code={answer['code']}"


async def _serve(
    paths: DataPaths, key: str, address: tuple[str, int | None], page: Sequence[BaseRoute], on_ready: OnReady
) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    server = _open(paths, key, address, page)
    await server.start()
    state = ServerState(server.url, server.port, os.getpid(), str(paths.root), server.config.instance)
    write_state(paths, state)
    remember_port(paths, server.port)
    try:
        await server.services.start()
        on_ready(state)
        await end.wait()
    finally:
        remove_state(paths, state.instance)
        await server.stop()


def _open(
    paths: DataPaths, key: str, address: tuple[str, int | None], page: Sequence[BaseRoute]
) -> RoomServer:
    """Bind the server: to the port asked for; else to the last one, the usual one, or a free one."""
    from process_agent.room_server.server import RoomServer, ServerConfig

    host, port = address
    if port is not None:
        return RoomServer(ServerConfig(paths, key, host, port), page)
    for choice in (last_port(paths) or DEFAULT_PORT, DEFAULT_PORT):
        with contextlib.suppress(RoomError):
            return RoomServer(ServerConfig(paths, key, host, choice), page)
    return RoomServer(ServerConfig(paths, key, host, 0), page)


def _launch(paths: DataPaths, host: str, port: int | None, writer: int) -> None:
    """Start the background program, which leaves our session and reports through `writer`."""
    # -P: a folder that somebody works in must not lend us its modules.
    command = [sys.executable, "-P", "-m", _BACKGROUND, str(paths.root), host, str(port), str(writer)]
    try:
        prepare(paths.root)
        _set_long_log_aside(paths)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with open(os.open(paths.server_log, flags, 0o600), "ab") as log:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[writer],
                env=environment_for_child(_ENVIRONMENT),
                timeout=START_SECONDS,
                check=False,
            )
    except OSError as error:
        raise unusable_folder(paths.root, error) from error
    except subprocess.TimeoutExpired as error:
        raise RoomError(f"The room server did not start; see {paths.server_log}.") from error


def report(descriptor: int, outcome: ServerState | ProcessError) -> None:
    """Tell the one who started us how it went: the background program's half of `start`."""
    if isinstance(outcome, ServerState):
        value: dict[str, Any] = {"instance": outcome.instance}
    else:
        kind = "running" if isinstance(outcome, AlreadyRunningError) else str(outcome.exit_code)
        value = {"kind": kind, "message": outcome.message, "fix": outcome.fix}
    with open(descriptor, "w") as pipe:
        json.dump(value, pipe)


def _read_until_end(descriptor: int) -> bytes:
    text = b""
    until = time.monotonic() + START_SECONDS
    while (left := until - time.monotonic()) > 0 and select.select([descriptor], [], [], left)[0]:
        piece = os.read(descriptor, 4096)
        if not piece:
            break
        text += piece
    return text


def _outcome(paths: DataPaths, text: bytes) -> ServerState:
    value = json.loads(text) if text else {}
    if "kind" in value:
        kinds: dict[str, type[ProcessError]] = {"running": AlreadyRunningError, "2": UsageError}
        raise kinds.get(value["kind"], RoomError)(value["message"], fix=value["fix"])
    state = read_state(paths)
    if state is None or state.instance != value.get("instance"):
        raise RoomError(f"The room server did not start; see {paths.server_log}.")
    return state


def _wait_for_answer(paths: DataPaths) -> ServerState:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        state = running(paths)
        if state is not None:
            return state
        time.sleep(0.05)
    raise RoomError(f"A room server holds {paths.root} and does not answer; see {paths.server_log}.")


def _check_not_hung(paths: DataPaths) -> None:
    """Raise `RoomError` when a server that does not answer holds the folder."""
    if not paths.root.is_dir():
        return
    try:
        with holding(paths):
            return
    except AlreadyRunningError as error:
        raise RoomError(f"{error.message} It does not answer.", fix="End that process yourself.") from error


def _end(pid: int) -> bool:
    """Ask a process to end; whether it was gone in time."""
    if not hasattr(os, "pidfd_open"):
        os.kill(pid, signal.SIGTERM)
        return _gone(pid)
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        return bool(select.select([handle], [], [], STOP_SECONDS)[0])
    finally:
        os.close(handle)


def _gone(pid: int) -> bool:
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def _set_long_log_aside(paths: DataPaths) -> None:
    log = paths.server_log
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
