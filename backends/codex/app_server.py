"""One running app-server: started, greeted, and its messages brought to the threads they are for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from backends.codex.failures import last_words
from backends.codex.launch import Launch
from backends.codex.limits import RateLimits
from backends.codex.notices import notice_of
from backends.codex.steady import Steadiness
from backends.codex.surface import UNSENT
from process_agent import __version__
from process_agent.errors import BackendError, NoAnswerError, ProcessError, TimeLimitError
from process_agent.io.child import Child
from process_agent.io.codex_program import check_version
from process_agent.io.rpc import Connection
from process_agent.io.tasks import Tasks
from process_agent.wire.jsonrpc import METHOD_NOT_FOUND, Notification, Request, RequestId

logger = logging.getLogger(__name__)

HELLO_TIMEOUT: Final = 10.0

SILENCE: Final = 30.0
"""Seconds an app-server has to answer a request before it counts as hanging."""

QUIET: Final = 15.0
"""Seconds without a word during a turn after which it is asked something."""

SWEEP_SECONDS: Final = 2.0
"""How long after a stop it is looked for commands that were just beginning."""

SWEEP_PAUSE: Final = 0.1
"""Seconds between looks."""

SANDBOX_PROGRAM: Final = "codex-linux-sandbox"
"""What Codex calls the processes of its sandbox."""

MAX_PENDING: Final = 20
"""Warnings that belong to no thread and are kept for the start summary."""
MAX_EARLY: Final = 200
"""Threads whose use of tokens is kept until somebody listens to them; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Put into every inbox when the app-server is gone; `reason` is part of a sentence."""

    reason: str = "it was closed"


type Message = Notification | Request | Lost
type Inbox = Callable[[Message], None]


@dataclass(frozen=True, slots=True)
class _Expected:
    """A turn of which more is to come until `over` is set."""

    codex_thread: str
    over: asyncio.Event
    inbox: Inbox


class AppServer:
    """The app-server and the connection to it. Whoever calls `start` calls `close`."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._inboxes: dict[str, Inbox] = {}
        self._used: dict[str, Notification] = {}
        """What threads had used, told with the answer that names them, before anybody could listen."""
        self._tasks = Tasks("codex app-server")
        self._child: Child | None = None
        self._connection: Connection | None = None
        self._turns: list[_Expected] = []
        self._limits = RateLimits()
        self._sweep_until = 0.0
        self._sweeping = False
        self._reason: str | None = None
        self.warnings: list[str] = []
        self.user_agent = ""
        self._steadiness = Steadiness()

    @property
    def alive(self) -> bool:
        """Whether it can still be asked anything."""
        return self._connection is not None and not self._connection.closed

    @property
    def idle(self) -> bool:
        """Whether no turn runs."""
        return all(turn.over.is_set() for turn in self._turns)

    @property
    def busy(self) -> bool:
        """Whether an ordinary request would have to wait for a place."""
        return self._connection is not None and self._connection.busy

    async def start(self) -> None:
        """Start and greet. Raises `BackendError`, with what the program said last, when that fails."""
        self._child = await Child.spawn(self._launch.command)
        self._connection = Connection(self._child, self._notified, self._asked, self._beat)
        self._tasks.start(self._run(self._connection), "reader")
        try:
            hello = await self._connection.request("initialize", self._hello(), timeout=HELLO_TIMEOUT)
            self.user_agent = str(hello.get("userAgent") or "")
            check_version(self.user_agent, self._launch.program.path)
            self._connection.notify("initialized")
            self._tasks.start(self._listen(self._connection), "listening for silence")
        except BaseException as error:
            died = await self._why() if self._connection.closed else None
            await self.close()
            if isinstance(error, ProcessError) and died is not None:
                raise BackendError(f"Codex ended at its start: {died}.") from error
            if isinstance(error, TimeLimitError):
                raise BackendError(
                    f"Codex did not answer within {HELLO_TIMEOUT:g} s of its start."
                ) from error
            raise

    async def request(
        self, method: str, params: dict[str, Any], *, timeout: float | None = None, urgent: bool = False
    ) -> dict[str, Any]:
        """Ask the app-server. Errors are those of `Connection.request`; `BackendError` when it is gone.

        Without a `timeout` of its own, in seconds, a request that is not answered at all within `SILENCE`
        means that the app-server hangs: it is ended, and so are its turns.
        """
        connection = self._connection
        if connection is None:
            raise BackendError("Codex is not running.")
        try:
            return await connection.request(method, params, timeout=timeout or SILENCE, urgent=urgent)
        except BackendError as error:
            raise BackendError(f"Codex is gone: {await self._why()}.") from error
        except NoAnswerError:
            if timeout is None:
                self._give_up(connection, f"it did not answer {method} within {SILENCE:g} s")
            raise

    def expect(self, codex_thread: str, over: asyncio.Event, inbox: Inbox) -> None:
        """A turn runs on this Codex thread until `over` is set; after `QUIET` seconds without a word Codex is
        asked for life.

        `inbox` gets what concerns every turn.
        """
        self._turns = [turn for turn in self._turns if not turn.over.is_set()]
        self._turns.append(_Expected(codex_thread, over, inbox))

    def answer(self, id: RequestId, result: object) -> bool:
        """Answer one of its requests. False when nothing waits for the answer any more."""
        return self._connection is not None and self._connection.answer(id, result)

    def refuse(self, id: RequestId, code: int, message: str) -> bool:
        """Refuse one of its requests. False when nothing waits for the answer any more."""
        return self._connection is not None and self._connection.refuse(id, code, message)

    def withdraw(self, id: RequestId) -> None:
        """It needs no answer to this request any more."""
        if self._connection is not None:
            self._connection.withdraw(id)

    def attach(self, codex_thread: str, inbox: Inbox) -> None:
        """Bring the messages of a Codex thread to `inbox`, in order; the last one is `Lost`."""
        self._inboxes[codex_thread] = inbox
        if (used := self._used.pop(codex_thread, None)) is not None:
            inbox(used)

    def detach(self, codex_thread: str) -> None:
        """Nobody listens to this Codex thread any more."""
        self._inboxes.pop(codex_thread, None)
        self._steadiness.over(codex_thread)
        self._used.pop(codex_thread, None)

    def stopped_a_turn(self) -> None:
        """A turn was stopped: what it left of commands that were just beginning ends within a moment."""
        self._sweep_until = asyncio.get_running_loop().time() + SWEEP_SECONDS
        if not self._sweeping:
            self._sweeping = True
            self._tasks.start(self._sweep(), "commands that were beginning")

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < self._sweep_until and self._child is not None:
            await asyncio.sleep(SWEEP_PAUSE)
            self._child.end_orphans(SANDBOX_PROGRAM)
        self._sweeping = False

    async def close(self) -> None:
        """Stop the program, everything below it and everything that bears its mark. Idempotent."""
        if self.alive:
            self._reason = self._reason or "it was closed"
        if self._child is not None:
            await self._child.stop()
            await asyncio.to_thread(self._launch.mark.sweep)
        self._lose(await self._why())
        await self._tasks.close()

    async def _why(self) -> str:
        """Why it is gone: our reason, or its last words."""
        if self._reason is not None or self._child is None:
            return self._reason or "it was never started"
        status, said = await self._child.last_words()
        return last_words(status, said, self._launch.account.key)

    async def _run(self, connection: Connection) -> None:
        try:
            await connection.run()
        finally:
            self._lose(await self._why())

    async def _listen(self, connection: Connection) -> None:
        """A turn may say nothing for hours, but an app-server answers."""
        loop = asyncio.get_running_loop()
        while not connection.closed:
            await asyncio.sleep(QUIET / 3)
            quiet = loop.time() - connection.heard_at > QUIET
            if quiet and any(not turn.over.is_set() for turn in self._turns):
                with contextlib.suppress(ProcessError):
                    await self.request("thread/loaded/list", {"limit": 1}, urgent=True)

    def _give_up(self, connection: Connection, reason: str) -> None:
        if connection.closed or self._child is None:
            return
        logger.warning("Codex is ended: %s", reason)
        self._reason = reason
        connection.close(reason)
        self._lose(reason)
        self._tasks.start(self._child.stop(hanging=True), "ending a silent app-server")

    def _lose(self, reason: str) -> None:
        inboxes, self._inboxes = self._inboxes, {}
        for inbox in inboxes.values():
            inbox(Lost(reason))

    def _notified(self, notification: Notification) -> None:
        thread = notification.params.get("threadId")
        inbox = self._inboxes.get(thread) if isinstance(thread, str) else None
        self._steadiness.heard(notification.method, thread if inbox is not None else None)
        if isinstance(thread, str):
            if inbox is not None:
                inbox(notification)
            elif notification.method == "thread/tokenUsage/updated":
                self._used[thread] = notification
                if len(self._used) > MAX_EARLY:
                    del self._used[next(iter(self._used))]
            return
        if notification.method == "account/rateLimits/updated":
            for text in self._limits.update(notification.params):
                self._tell_all(Notification("warning", {"message": text}))
            return
        notice = notice_of(notification.method, notification.params)
        if notice is not None and len(self.warnings) < MAX_PENDING:
            self.warnings.append(notice[1])

    def _beat(self, size: int) -> float:
        """For how many seconds nothing need be read from it; see `steady`."""
        running = (turn.codex_thread for turn in self._turns if not turn.over.is_set())
        return self._steadiness.beat(size, running, asyncio.get_running_loop().time())

    def _tell_all(self, notification: Notification) -> None:
        for turn in self._turns:
            if not turn.over.is_set():
                turn.inbox(notification)

    def _hello(self) -> dict[str, Any]:
        """Only a login has limits; with a provider of ours the message says nothing, each turn."""
        ours = self._launch.account.provider is not None
        unwanted = [*UNSENT, *(["account/rateLimits/updated"] if ours else [])]
        return {**_HELLO, "capabilities": {**_CAPABILITIES, "optOutNotificationMethods": unwanted}}

    def _asked(self, request: Request) -> None:
        """A request nobody would answer is refused at once: its turn would wait for ever."""
        thread = str(request.params.get("threadId"))
        inbox = self._inboxes.get(thread)
        self._steadiness.heard(request.method, thread if inbox is not None else None)
        if inbox is not None:
            inbox(request)
        elif self._connection is not None:
            self._connection.refuse(request.id, METHOD_NOT_FOUND, f"{request.method} has no listener here.")


_HELLO: Final[dict[str, Any]] = {
    "clientInfo": {"name": "process_agent", "title": "process", "version": __version__},
}
_CAPABILITIES: Final[dict[str, Any]] = {"experimentalApi": True, "requestAttestation": False}
