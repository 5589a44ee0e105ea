"""One running app-server: started, greeted, and its messages brought to the threads they are for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from backends.codex.failures import without_addresses
from backends.codex.launch import Launch
from backends.codex.locate import check_version
from backends.codex.notices import notice_of
from process_agent import __version__
from process_agent.errors import BackendError, ProcessError, TimeLimitError
from process_agent.io.child import Child
from process_agent.io.rpc import Connection
from process_agent.io.tasks import Tasks
from process_agent.wire.jsonrpc import METHOD_NOT_FOUND, Notification, Request, RequestId

logger = logging.getLogger(__name__)

HELLO_TIMEOUT: Final = 10.0
MAX_PENDING: Final = 20
"""Warnings that belong to no thread and are kept for the start summary."""

# What nobody here reads is not sent: a fifth of the messages of a short turn.
_UNWANTED: Final = (
    "thread/started",
    "thread/closed",
    "thread/status/changed",
    "thread/settings/updated",
    "thread/readState/changed",
    "item/reasoning/summaryPartAdded",
    "account/rateLimits/updated",
    "remoteControl/status/changed",
    "skills/changed",
    "rawResponse/completed",
)


class Lost:
    """Put into every inbox when the app-server is gone."""


type Message = Notification | Request | Lost
type Inbox = Callable[[Message], None]


class AppServer:
    """The app-server and the connection to it. Whoever calls `start` calls `close`."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._inboxes: dict[str, Inbox] = {}
        self._tasks = Tasks("codex app-server")
        self._child: Child | None = None
        self._connection: Connection | None = None
        self.warnings: list[str] = []
        self.user_agent = ""

    @property
    def alive(self) -> bool:
        """Whether it can still be asked anything."""
        return self._connection is not None and not self._connection.closed

    @property
    def busy(self) -> bool:
        """Whether an ordinary request would have to wait for a place."""
        return self._connection is not None and self._connection.busy

    async def start(self) -> None:
        """Start and greet. Raises `BackendError`, with what the program said last, when that fails."""
        self._child = await Child.spawn(self._launch.command)
        self._connection = Connection(self._child, self._notified, self._asked)
        self._tasks.start(self._run(self._connection), "reader")
        try:
            hello = await self._connection.request("initialize", _HELLO, timeout=HELLO_TIMEOUT)
            self.user_agent = str(hello.get("userAgent") or "")
            check_version(self.user_agent, self._launch.program.path)
            self._connection.notify("initialized")
        except BaseException as error:
            await self.close()
            if isinstance(error, ProcessError) and self._connection.closed:
                raise self._died() from error
            if isinstance(error, TimeLimitError):
                raise BackendError(
                    f"Codex did not answer within {HELLO_TIMEOUT:g} s of its start."
                ) from error
            raise

    async def request(
        self, method: str, params: dict[str, Any], *, timeout: float = 60.0, urgent: bool = False
    ) -> dict[str, Any]:
        """Ask the app-server. Errors are those of `Connection.request`; `BackendError` when it is gone."""
        if self._connection is None:
            raise BackendError("Codex is not running.")
        return await self._connection.request(method, params, timeout=timeout, urgent=urgent)

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

    def detach(self, codex_thread: str) -> None:
        """Nobody listens to this Codex thread any more."""
        self._inboxes.pop(codex_thread, None)

    async def close(self) -> None:
        """Stop the program and everything below it. Idempotent."""
        if self._child is not None:
            await self._child.stop()
        await self._tasks.close()
        self._lose()

    def _died(self) -> BackendError:
        child = self._child
        said = without_addresses(child.stderr_tail()[-1500:]) if child else ""
        code = child.returncode if child else None
        return BackendError(f"Codex ended at its start (exit status {code}): {said or 'it said nothing'}")

    async def _run(self, connection: Connection) -> None:
        try:
            await connection.run()
        finally:
            self._lose()

    def _lose(self) -> None:
        inboxes, self._inboxes = self._inboxes, {}
        for inbox in inboxes.values():
            inbox(Lost())

    def _notified(self, notification: Notification) -> None:
        thread = notification.params.get("threadId")
        if isinstance(thread, str):
            inbox = self._inboxes.get(thread)
            if inbox is not None:
                inbox(notification)
            return
        notice = notice_of(notification.method, notification.params)
        if notice is not None and len(self.warnings) < MAX_PENDING:
            self.warnings.append(notice[1])

    def _asked(self, request: Request) -> None:
        """A request nobody would answer is refused at once: its turn would wait for ever."""
        inbox = self._inboxes.get(str(request.params.get("threadId")))
        if inbox is not None:
            inbox(request)
        elif self._connection is not None:
            self._connection.refuse(request.id, METHOD_NOT_FOUND, f"{request.method} has no listener here.")


_HELLO: Final[dict[str, Any]] = {
    "clientInfo": {"name": "process_agent", "title": "process", "version": __version__},
    "capabilities": {
        "experimentalApi": True,
        "requestAttestation": False,
        "optOutNotificationMethods": list(_UNWANTED),
    },
}
