"""One session with an MCP server, over a child's pipes or streamable HTTP, through the official SDK.

The SDK is loaded with the first session. Its own log is left out: it names addresses, which may be secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from process_agent.core.content import Json
from process_agent.core.mcp_config import McpLaunch
from process_agent.core.room_ports import RemoteResult, RemoteTool
from process_agent.errors import ProcessError, ToolFailedError
from process_agent.io.interruption import Interrupted, Interruption
from process_agent.io.tasks import Tasks

if TYPE_CHECKING:
    from process_agent.io.mcp_sdk import Session, Streams

MAX_LISTED = 500
"""Tools of one server that are read, and resources that are listed."""

LAST_WORDS_SECONDS = 3.0
"""How long a session that broke off may take to say why."""

MAX_MESSAGE = 1_000
"""Characters of what a server says about a failure."""


@dataclass(frozen=True, slots=True)
class ServerTool(RemoteTool):
    """A tool of a server; `reads` is the server's word that it changes nothing."""

    reads: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a server wants to know of people: a `message`, and the JSON `schema` of a form."""

    message: str
    schema: object


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered to a server: accept, decline or cancel, with the form filled in."""

    action: str
    content: Mapping[str, Json] = field(default_factory=dict)


class Listener(Protocol):
    """Hears of one call while it runs."""

    def log(self, text: str) -> None:
        """A line of progress."""
        ...

    async def asked(self, question: Asked) -> Reply:
        """The server asks something because of this call."""
        ...


type Transport = Callable[[AsyncExitStack], Awaitable[Streams]]
"""Opens the streams of a session, which end with the stack. Raises `ProcessError`."""


class McpSession:
    """One session. Whoever makes it closes it; once it is `over` it is of no more use."""

    def __init__(self, launch: McpLaunch, transport: Transport, tasks: Tasks) -> None:
        self.tools: tuple[ServerTool, ...] = ()
        self.stale = False
        """Whether the server said that its tools are others now."""
        self.resources = False
        """Whether the server has resources beside its tools."""
        self._launch = launch
        self._transport = transport
        self._tasks = tasks
        self._session: Session | None = None
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls: dict[Interruption, Listener] = {}
        self._why = "it ended"
        self._owner: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether the session has ended."""
        return self._owner is not None and self._owner.done()

    async def start(self) -> None:
        """Connect and see what there is. Raises `ToolFailedError`."""
        self._owner = self._tasks.start(self._own(), f"MCP server {self._launch.name}")
        try:
            async with asyncio.timeout(self._launch.start_seconds):
                await asyncio.shield(self._ready)
        except TimeoutError:
            self.end()
            self._why = f"it did not answer within {self._launch.start_seconds:g} s"
            raise self._failed() from None
        except BaseException:
            self.end()
            raise

    async def call(self, tool: str, arguments: Mapping[str, Json], listener: Listener) -> RemoteResult:
        """Call a tool; no limit of time but the caller's, who cancels. Raises `ToolFailedError`."""
        from process_agent.io import mcp_sdk

        result = await self._asked(lambda s: s.call(tool, dict(arguments), listener.log), listener)
        return mcp_sdk.result_of(result)

    async def list_resources(self, listener: Listener) -> RemoteResult:
        """The resources of the server, as a text. Raises `ToolFailedError`."""
        return await self._asked(lambda session: session.resources_listed(MAX_LISTED), listener)

    async def read_resource(self, uri: str, listener: Listener) -> RemoteResult:
        """What the resource at an address holds. Raises `ToolFailedError`."""
        return await self._asked(lambda session: session.resource(uri), listener)

    async def _asked[T](self, ask: Callable[[Session], Awaitable[T]], listener: Listener) -> T:
        from process_agent.io import mcp_sdk

        session = self._session
        if session is None or self.over:
            raise self._failed()
        interruption = Interruption()
        self._calls[interruption] = listener
        try:
            return await interruption.wait(lambda: ask(session))
        except Interrupted:
            raise await self._gone() from None
        except mcp_sdk.FAILURES as error:
            if self._stop.is_set() or mcp_sdk.is_closed(error):
                raise await self._gone() from error
            raise ToolFailedError(mcp_sdk.describe(error)[:MAX_MESSAGE]) from error
        finally:
            del self._calls[interruption]

    async def relist(self) -> None:
        """Read the tools again. Raises `ToolFailedError`."""
        from process_agent.io import mcp_sdk

        if self._session is None or self.over:
            raise self._failed()
        self.stale = False
        try:
            async with asyncio.timeout(self._launch.start_seconds):
                self.tools = await self._session.listed(MAX_LISTED)
        except (TimeoutError, *mcp_sdk.FAILURES) as error:
            raise ToolFailedError(f"The MCP server {self._launch.name} does not list its tools.") from error

    def end(self) -> None:
        """End the session soon, also one that never begins. Idempotent."""
        self._stop.set()
        if self._owner is not None and not self._ready.done():
            self._owner.cancel()

    async def asked(self, question: Asked) -> Reply:
        """The server asks: the call that runs passes it on. Which of several means it is not told; they are
        asked as one only where that is the same.
        """
        listeners = list(self._calls.values())
        if len(listeners) != 1:
            for listener in listeners:
                listener.log("The server asked something and was told no: several calls run.")
            return Reply("decline")
        return await listeners[0].asked(question)

    def said(self, text: str) -> None:
        """The server logs something."""
        if len(self._calls) == 1:
            for listener in self._calls.values():
                listener.log(text)

    async def _own(self) -> None:
        """The task in which everything of the session begins and ends."""
        from process_agent.io import mcp_sdk

        try:
            async with AsyncExitStack() as stack:
                streams = await self._transport(stack)
                self._session = await stack.enter_async_context(mcp_sdk.session(streams, self))
                await self._session.begin()
                self.resources = self._session.resources
                self.tools = await self._session.listed(MAX_LISTED)
                if not self._ready.done():
                    self._ready.set_result(None)
                await mcp_sdk.either(self._stop, streams.ended)
                self._why = streams.last_words() or self._why
        except (*mcp_sdk.FAILURES, ProcessError, BaseExceptionGroup) as error:
            self._why = mcp_sdk.describe(error)
            if isinstance(error, BaseExceptionGroup) and error.split(Exception)[1] is not None:
                raise
        finally:
            self._stop.set()
            for interruption in tuple(self._calls):
                interruption.ask()
            if not self._ready.done():
                self._session = None
                self._ready.set_exception(self._failed())
                self._ready.exception()  # nobody may wait for it any more

    async def _gone(self) -> ToolFailedError:
        """Why it ended, once that is known."""
        if self._owner is not None:
            await asyncio.wait({self._owner}, timeout=LAST_WORDS_SECONDS)
        return self._failed()

    def _failed(self) -> ToolFailedError:
        return ToolFailedError(f"The MCP server {self._launch.name} cannot be used: {self._why.rstrip('.')}.")
