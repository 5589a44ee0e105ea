"""A JSON-RPC connection to a child process: who waits for what, within which time."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Final, Protocol

from process_agent.errors import BackendError, NoAnswerError, RemoteError, TimeLimitError
from process_agent.wire.jsonrpc import (
    OVERLOADED,
    Answer,
    Malformed,
    Notification,
    Params,
    Peer,
    Request,
    RequestId,
    Stray,
)
from process_agent.wire.ndjson import MAX_LINE, LineSplitter

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT: Final = 32
"""Requests under way at once; 200 make Codex answer -32001 (codex-app-server page, section 3)."""

MAX_URGENT: Final = 96
"""The same for interrupts, which must not queue behind the others. Codex answers one when its turn has ended,
and takes in the next meanwhile (128 messages may wait): the sooner it knows of all, the less it works for
turns that are over.
"""

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
"""Seconds between attempts after -32001, doubled each time, plus up to half of it by chance."""

DEFAULT_TIMEOUT: Final = 60.0


class Pipe(Protocol):
    """The bytes of the other side; `io.child.Child` is one."""

    async def read_all(self, take: Callable[[bytes], None]) -> None:
        """Hand over all bytes as they come, until the end."""
        ...

    def rest(self, seconds: float) -> None:
        """Hand over nothing for so many seconds, or until `go_on`."""
        ...

    def go_on(self) -> None:
        """Rest no longer. Idempotent."""
        ...

    def write(self, data: bytes) -> None:
        """Send without waiting."""
        ...

    async def drain(self) -> None:
        """Wait while too much is unsent."""
        ...


type OnNotification = Callable[[Notification], None]
type OnRequest = Callable[[Request], None]
type MayRest = Callable[[int], float]
"""Asked after each piece of so many bytes: for how many seconds nothing more need be read, or 0."""


class Connection:
    """Requests with time limits over a `Pipe`. `run` reads; everything else works while it runs.

    `on_notification` and `on_request` are called in the order of arrival and must not block; each request is
    answered later through `answer` or `refuse`. It rests only while nothing is asked of the other side.
    """

    def __init__(
        self,
        pipe: Pipe,
        on_notification: OnNotification,
        on_request: OnRequest,
        may_rest: MayRest | None = None,
    ) -> None:
        self._pipe = pipe
        self._may_rest = may_rest
        self._on_notification = on_notification
        self._on_request = on_request
        self._peer = Peer()
        self._waiting: dict[RequestId, asyncio.Future[object]] = {}
        self._ordinary = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._urgent = asyncio.Semaphore(MAX_URGENT)
        self._closed: str | None = None
        self.heard_at = float("-inf")
        """When the other side sent anything last, in seconds of the loop's clock."""

    @property
    def closed(self) -> bool:
        """Whether the other side is gone."""
        return self._closed is not None

    @property
    def busy(self) -> bool:
        """Whether an ordinary request would have to wait for one of the `MAX_IN_FLIGHT` places."""
        return self._ordinary.locked()

    async def run(self) -> None:
        """Read until the end of the stream, then fail what still waits. Raises nothing but cancellation."""
        splitter, loop = LineSplitter(), asyncio.get_running_loop()
        reason = "The connection was closed."

        def take(data: bytes) -> None:
            self.heard_at, skipped = loop.time(), splitter.skipped
            for line in splitter.feed(data):
                self._received(line)
            if splitter.skipped > skipped:
                logger.warning("a message of more than %d bytes was left out", MAX_LINE)
            if self._may_rest is not None and not self._waiting and (seconds := self._may_rest(len(data))):
                self._pipe.rest(seconds)

        try:
            await self._pipe.read_all(take)
        except ConnectionError as error:
            reason = f"The connection broke: {error}"
        finally:
            self.close(reason)

    async def request(
        self, method: str, params: Params, *, timeout: float = DEFAULT_TIMEOUT, urgent: bool = False
    ) -> dict[str, Any]:
        """Ask and wait for the result; an answer that is no object counts as an empty one.

        The time limit, in seconds, covers repeating after -32001, not waiting for one of the places. Raises
        `RemoteError` (the other side's error), `NoAnswerError`, `TimeLimitError` (it was overloaded for all
        that time) or `BackendError` (the other side is gone).
        """
        lane = self._urgent if urgent else self._ordinary
        refusals: list[RemoteError] = []
        try:
            async with lane, asyncio.timeout(timeout):
                result = await self._repeat(method, params, refusals)
        except TimeoutError as error:
            if refusals:
                raise TimeLimitError(f"Overloaded for {timeout:g} s: no place for {method}.") from error
            raise NoAnswerError(f"No answer to {method} within {timeout:g} s.") from error
        return result if isinstance(result, dict) else {}

    def notify(self, method: str, params: Params | None = None) -> None:
        """Tell without an answer."""
        self._pipe.write(self._peer.notification(method, params))

    def answer(self, id: RequestId, result: object) -> bool:
        """Answer a request of the other side. False when nothing waits for it any more."""
        return self._reply(self._peer.result(id, result))

    def refuse(self, id: RequestId, code: int, message: str) -> bool:
        """Answer a request of the other side with an error. False when nothing waits for it any more."""
        return self._reply(self._peer.error(id, code, message))

    def withdraw(self, id: RequestId) -> None:
        """The other side said that its request needs no answer any more."""
        self._peer.withdraw(id)

    def _reply(self, line: bytes | None) -> bool:
        if line is None or self.closed:
            return False
        self._pipe.write(line)
        return True

    async def _repeat(self, method: str, params: Params, refusals: list[RemoteError]) -> object:
        """Ask until there is a place; `refusals` gets the answers that there is none."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._once(method, params)
            except RemoteError as error:
                if error.code != OVERLOADED:
                    raise
                refusals.append(error)
            await asyncio.sleep(pause * random.uniform(1, 1.5))  # noqa: S311 - spread, not secrecy
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _once(self, method: str, params: Params) -> object:
        if self._closed is not None:
            raise BackendError(self._closed)
        id, line = self._peer.request(method, params)
        future = self._waiting[id] = asyncio.get_running_loop().create_future()
        try:
            self._pipe.write(line)
            self._pipe.go_on()
            await self._pipe.drain()
            return await future
        finally:
            self._waiting.pop(id, None)
            self._peer.forget(id)

    def _received(self, line: bytes) -> None:
        match self._peer.receive(line):
            case Notification() as notification:
                self._on_notification(notification)
            case Request() as request:
                self._on_request(request)
            case Answer(id, result, error):
                self._answered(id, result, error)
            case Stray(id):
                logger.debug("late answer to request %r", id)
            case Malformed(reason):
                logger.warning("unreadable message: %s", reason)

    def _answered(self, id: RequestId, result: object, error: RemoteError | None) -> None:
        future = self._waiting.get(id)
        if future is None or future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def close(self, reason: str) -> None:
        """Count the other side as gone: what waits fails with `BackendError`. The first reason stays."""
        if self._closed is None:
            self._closed = reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(BackendError(self._closed))
