"""One run of a channel program: its socket, its child process, and what they say."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from process_agent.channels.command.envelopes import is_capability
from process_agent.errors import RoomError, TimeLimitError, UsageError, WireError
from process_agent.io.child import Child, Command
from process_agent.io.tasks import Tasks
from process_agent.wire.msgpack_frames import Values, decode_map, encode

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
"""How long a program may take to connect."""

MAX_SOCKET_PATH = 100
"""Bytes of a socket's path; the operating systems allow 103 and 107."""

MAX_FIRST_BYTES = 4_096
"""Longest first value: whoever sends it is a stranger until then."""

MAX_STRANGERS = 16
"""Connections that have not proved themselves, at a time."""

_READ_BYTES = 64 * 1024
_STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a program. `environment` is all it gets, besides the address of its socket."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path

    @property
    def program(self) -> str:
        """Its name, without the folder."""
        return Path(self.argv[0]).name

    def found(self) -> Launch:
        """The same with the program's full path. Raises `UsageError` when there is no such program."""
        path = shutil.which(self.argv[0], path=self.environment.get("PATH"))
        if path is None:
            raise UsageError(
                f"The channel program {self.argv[0]!r} is not there.",
                fix="Write its whole path, or mend PATH.",
            )
        return Launch((str(self.folder / path), *self.argv[1:]), self.environment, self.folder)


type Receive = Callable[[dict[Any, Any]], None]
"""Takes one value that is a map; raises `WireError` for one it cannot use."""


class Program:
    """One run: `start` it once; whoever made it calls `stop`."""

    def __init__(self, launch: Launch, receive: Receive) -> None:
        self._launch = launch
        self._receive = receive
        self._capability = secrets.token_urlsafe(32)
        self._tasks = Tasks(f"channel program {launch.program}")
        self._strangers: set[asyncio.StreamWriter] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._child: Child | None = None
        self._connected = asyncio.Event()
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def connected(self) -> bool:
        """Whether something can be sent."""
        return self._writer is not None and not self._over.done()

    async def start(self) -> None:
        """Start the program and wait until it has connected and proved itself; what it says then goes to
        `receive` at once.

        Raises `UsageError`, `BackendError`, `TimeLimitError`, and `ProcessError` with what it said last.
        """
        folder = _socket_folder()
        try:
            await self._start(folder / "channel.sock")
        except BaseException:
            await self.stop()
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def ended(self) -> str:
        """Wait until the program is of no use any more; returns why."""
        return await asyncio.shield(self._over)

    def give_up(self, reason: str) -> None:
        """End the run from our side; `ended` returns the reason."""
        if not self._over.done():
            self._over.set_result(reason)

    async def send(self, value: Mapping[str, Any]) -> None:
        """Send one value. Waits while the program reads slowly. Raises `RoomError` when it is gone."""
        writer = self._writer
        if writer is None or not self.connected:
            raise RoomError(f"{self._launch.program} is gone.")
        try:
            writer.write(encode(value))
            await writer.drain()
        except ConnectionError as error:
            raise RoomError(f"{self._launch.program} is gone.") from error

    async def stop(self) -> None:
        """Hang up and end the program. Idempotent."""
        self.give_up("it was stopped")
        if self._writer is not None:
            self._writer.close()
        if self._child is not None:
            await self._child.stop(_STOP_SECONDS)
        await self._tasks.close()

    async def _start(self, path: Path) -> None:
        server = await asyncio.start_unix_server(self._accept, path, limit=_READ_BYTES)
        try:
            environment = {
                **self._launch.environment,
                "MESHAGENT_CHANNEL_URL": f"unix://{path}",
                "MESHAGENT_CHANNEL_CAPABILITY": self._capability,
            }
            self._child = await Child.spawn(Command(self._launch.argv, environment, self._launch.folder))
            self._tasks.start(self._watch(self._child), "end")
            self._tasks.start(_log_output(self._child, self._launch.program), "output")
            await self._wait_for_connection()
        finally:
            server.close()  # nobody else gets in
            for stranger in tuple(self._strangers):
                stranger.close()

    async def _wait_for_connection(self) -> None:
        connected = self._tasks.start(self._connected.wait(), "connection")
        awaited: set[asyncio.Future[Any]] = {connected, self._over}
        done, _ = await asyncio.wait(awaited, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        name, said = self._launch.program, self._last_words()
        if self._over in done:
            raise UsageError(
                f"The channel program {name} did not connect: {self._over.result()}{said}.",
                fix="Run it by hand to see why; docs/external-channels.md says what it has to do.",
            )
        if not done:
            raise TimeLimitError(
                f"The channel program {name} did not connect in {CONNECT_SECONDS:.0f} s{said}.",
                fix="It has to connect to MESHAGENT_CHANNEL_URL and send MESHAGENT_CHANNEL_CAPABILITY.",
            )

    # --- The connection --------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Whoever connects to the socket."""
        if self._writer is not None or len(self._strangers) >= MAX_STRANGERS:
            writer.close()
            return
        self._strangers.add(writer)
        values = Values()
        try:
            data = await self._prove(reader, values)
            if data is None or self._writer is not None:
                logger.warning("refused a connection to %s: wrong capability", self._launch.program)
                return
            self._strangers.discard(writer)
            self._writer = writer
            self._connected.set()
            await self._converse(reader, values, data)
        except (ConnectionError, WireError) as error:
            if self._writer is writer:
                self.give_up(f"what it sent cannot be read: {error}")
            else:
                logger.warning("refused a connection to %s: %s", self._launch.program, error)
        finally:
            self._strangers.discard(writer)
            writer.close()

    async def _prove(self, reader: asyncio.StreamReader, values: Values) -> list[bytes] | None:
        """The values that came right after the capability; None without it. Raises `WireError`."""
        seen = 0
        while data := await reader.read(MAX_FIRST_BYTES):
            found = list(values.feed(data))
            if found:
                return found[1:] if is_capability(decode_map(found[0]), self._capability) else None
            seen += len(data)
            if seen >= MAX_FIRST_BYTES:
                return None
        return None

    async def _converse(self, reader: asyncio.StreamReader, values: Values, first: list[bytes]) -> None:
        for value in first:
            self._take(value)
        while data := await reader.read(_READ_BYTES):
            for value in values.feed(data):
                self._take(value)
        self.give_up("it hung up")

    def _take(self, value: bytes) -> None:
        """A value that is whole but useless costs nothing else than itself."""
        try:
            self._receive(decode_map(value))
        except WireError as error:
            logger.warning("dropped what %s sent: %s", self._launch.program, error)

    # --- The child -------------------------------------------------------------------------------

    async def _watch(self, child: Child) -> None:
        code = await child.wait()
        self.give_up(f"it ended with {f'signal {-code}' if code < 0 else f'status {code}'}")

    def _last_words(self) -> str:
        said = self._child.stderr_tail() if self._child is not None else ""
        return f"; it said:\n{said}" if said else ""

    def epitaph(self) -> str:
        """Why it ended, with the last lines of its standard error."""
        reason = self._over.result() if self._over.done() else "it runs"
        return reason + self._last_words()


async def _log_output(child: Child, name: str) -> None:
    """Standard output goes to our log, a line each, so that nobody waits for a full pipe."""
    rest = b""
    while data := await child.read():
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[-_READ_BYTES:]
        for line in lines:
            logger.info("%s: %s", name, line.decode(errors="replace").rstrip())


def _socket_folder() -> Path:
    """A new folder that only we can enter, with a path short enough for a socket. Raises `UsageError`."""
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - a fresh folder of mode 700 below it
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="process-", dir=parent))
            if len(bytes(folder / "channel.sock")) <= MAX_SOCKET_PATH:
                return folder
            folder.rmdir()
    raise UsageError(
        "There is no place for the socket of a channel program.", fix="Set TMPDIR to a short path."
    )
