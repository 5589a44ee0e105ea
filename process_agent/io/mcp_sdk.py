"""The door to the SDK of MCP (`mcp` 1.x): imported only by those who have a session."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import mimetypes
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx
import mcp.types as t
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp.shared.session import RequestResponder
from pydantic import AnyUrl, ValidationError

from process_agent.core.addresses import is_public
from process_agent.core.content import Json
from process_agent.core.mcp_config import McpLaunch
from process_agent.core.room_ports import RemoteFile, RemoteResult
from process_agent.errors import ProcessError, ToolFailedError
from process_agent.io.child import Child, Command
from process_agent.io.mcp_session import Asked, ServerTool
from process_agent.io.public_http import CheckedTransport, anywhere
from process_agent.wire.ndjson import LineSplitter

if TYPE_CHECKING:
    from process_agent.io.mcp_session import McpSession

logger = logging.getLogger(__name__)
logging.getLogger("mcp").setLevel(logging.CRITICAL)
logging.getLogger("httpx").setLevel(logging.WARNING)

FAILURES: Final = (
    *(McpError, httpx.HTTPError, ValidationError, RuntimeError, OSError),
    *(anyio.ClosedResourceError, anyio.BrokenResourceError),
)
"""What a session may raise beside `ToolFailedError`."""

HTTP_SECONDS: Final = httpx.Timeout(30.0, read=600.0)

_CONNECTION_CLOSED: Final = -32000
MAX_PAGES: Final = 50
MAX_ABOUT: Final = 300
"""Characters of what a server says about a resource."""

type Read = MemoryObjectReceiveStream[SessionMessage | Exception]
type Write = MemoryObjectSendStream[SessionMessage]


@dataclass(frozen=True, slots=True)
class Streams:
    """Both directions of a session; `ended` once the server is gone, `last_words` then say how."""

    read: Read
    write: Write
    ended: asyncio.Event
    last_words: Callable[[], str]


class Session(ClientSession):
    """The SDK's session; what a server asks does not keep it from being heard meanwhile."""

    resources = False
    """Whether the server says that it has resources."""

    async def begin(self) -> None:
        """Shake hands."""
        told = await self.initialize()
        self.resources = told.capabilities.resources is not None

    async def listed(self, most: int) -> tuple[ServerTool, ...]:
        """The tools, page by page."""
        found: list[t.Tool] = []
        cursor = None
        for _ in range(MAX_PAGES):
            page = await self.list_tools(params=t.PaginatedRequestParams(cursor=cursor))
            found += page.tools
            cursor = page.nextCursor
            if not cursor or len(found) >= most:
                break
        return tuple(_tool(each) for each in found[:most])

    async def resources_listed(self, most: int) -> RemoteResult:
        """The resources and the patterns of addresses, a line each."""
        lines: list[str] = []
        cursor = None
        for _ in range(MAX_PAGES):
            page = await self.list_resources(params=t.PaginatedRequestParams(cursor=cursor))
            lines += [_line(str(each.uri), each) for each in page.resources]
            cursor = page.nextCursor
            if not cursor or len(lines) >= most:
                break
        try:
            patterns = await self.list_resource_templates()
            lines += [_line(each.uriTemplate, each) for each in patterns.resourceTemplates]
        except McpError:
            logger.debug("a server has resources and no patterns of them")
        more = ["[There are more, which are left out.]"] if cursor or len(lines) > most else []
        return RemoteResult(("\n".join([*lines[:most], *more]) or "There are no resources.",))

    async def resource(self, uri: str) -> RemoteResult:
        """What a resource holds. Raises `ToolFailedError` for what is no address."""
        try:
            address = AnyUrl(uri)
        except ValidationError:
            raise ToolFailedError(f"{uri[:200]!r} is not the address of a resource.") from None
        texts: list[str] = []
        files: list[RemoteFile] = []
        for held in (await self.read_resource(address)).contents:
            _hold(held, texts, files)
        return RemoteResult(tuple(texts), files=tuple(files))

    async def call(
        self, tool: str, arguments: dict[str, Any], log: Callable[[str], None]
    ) -> t.CallToolResult:
        """Call a tool. Who cancels the call has the server told."""

        async def told(progress: float, total: float | None, message: str | None) -> None:
            of = f"{progress:g}" if total is None else f"{progress:g} of {total:g}"
            log(f"{of}: {message}" if message else of)

        request_id = self._request_id
        request = t.CallToolRequest(params=t.CallToolRequestParams(name=tool, arguments=arguments))
        try:
            return await self.send_request(t.ClientRequest(request), t.CallToolResult, progress_callback=told)
        except asyncio.CancelledError:
            about = t.CancelledNotificationParams(requestId=request_id, reason="No longer needed.")
            self._task_group.start_soon(
                self.send_notification, t.ClientNotification(t.CancelledNotification(params=about))
            )
            raise

    async def _received_request(self, responder: RequestResponder[t.ServerRequest, t.ClientResult]) -> None:
        self._task_group.start_soon(super()._received_request, responder)


@asynccontextmanager
async def session(streams: Streams, owner: McpSession) -> AsyncGenerator[Session]:
    """A session whose questions and messages `owner` hears."""

    async def asked(context: object, params: t.ElicitRequestParams) -> t.ElicitResult:
        if not isinstance(params, t.ElicitRequestFormParams):
            owner.said("The server wanted a page to be opened in a browser, and was told no.")
            return t.ElicitResult(action="decline")
        reply = await owner.asked(Asked(params.message, params.requestedSchema))
        content: Any = dict(reply.content) if reply.action == "accept" else None
        return t.ElicitResult.model_validate({"action": reply.action, "content": content})

    async def logged(params: t.LoggingMessageNotificationParams) -> None:
        owner.said(params.data if isinstance(params.data, str) else str(params.data)[:2_000])

    async def heard(message: object) -> None:
        if isinstance(message, t.ServerNotification) and isinstance(
            message.root, t.ToolListChangedNotification
        ):
            owner.stale = True

    about = t.Implementation(name="process-agent", version="1")
    async with Session(
        streams.read,
        streams.write,
        elicitation_callback=asked,
        logging_callback=logged,
        message_handler=heard,
        client_info=about,
    ) as opened:
        yield opened


# --- Transports ----------------------------------------------------------------------------------


async def http_streams(launch: McpLaunch, stack: AsyncExitStack) -> Streams:
    """A server by its address. Where strangers named it, only public addresses are connected to."""
    client = httpx.AsyncClient(
        headers=dict(launch.headers),
        timeout=HTTP_SECONDS,
        transport=CheckedTransport(is_public if launch.public_only else anywhere),
        trust_env=False,
    )
    await stack.enter_async_context(client)
    read, write, _ = await stack.enter_async_context(
        streamable_http_client(launch.url or "", http_client=client)
    )
    return Streams(read, write, asyncio.Event(), lambda: "")


async def stdio_streams(launch: McpLaunch, folder: Path, stack: AsyncExitStack) -> Streams:
    """A server that is a child of ours, below the guard that takes it along when we end."""
    program = shutil.which(launch.command[0], path=launch.environment.get("PATH", ""))
    if program is None:
        raise ToolFailedError(f"there is no program {launch.command[0][:100]!r}")
    command = Command((program, *launch.command[1:]), launch.environment, launch.folder or folder)
    child = await Child.spawn(command)
    stack.push_async_callback(child.stop)
    into: MemoryObjectSendStream[SessionMessage | Exception]
    into, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, out = anyio.create_memory_object_stream[SessionMessage](0)
    ended = asyncio.Event()
    group = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(group.cancel_scope.cancel)
    group.start_soon(_from_child, child, into, ended)
    group.start_soon(_to_child, child, out)

    def last_words() -> str:
        if not ended.is_set():
            return ""
        words = child.stderr_tail().strip().rsplit("\n", 1)[-1][:300]
        return f"its program ended: {words}" if words else "its program ended"

    return Streams(read, write, ended, last_words)


async def _from_child(
    child: Child, into: MemoryObjectSendStream[SessionMessage | Exception], ended: asyncio.Event
) -> None:
    lines = LineSplitter()
    async with into:
        while data := await child.read():
            for line in lines.feed(data):
                try:
                    message = t.JSONRPCMessage.model_validate_json(line)
                except ValidationError:
                    continue  # something else than a message on standard output
                await into.send(SessionMessage(message))
        await child.last_words()
        ended.set()


async def _to_child(child: Child, out: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async with out:
        async for sent in out:
            child.write(sent.message.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n")
            await child.drain()


# --- Words ---------------------------------------------------------------------------------------


async def either(*events: asyncio.Event) -> None:
    """Wait for the first of them."""
    async with anyio.create_task_group() as group:

        async def one(event: asyncio.Event) -> None:
            await event.wait()
            group.cancel_scope.cancel()

        for event in events:
            group.start_soon(one, event)


def is_closed(error: BaseException) -> bool:
    """Whether an error says that the session is over."""
    if isinstance(error, McpError):
        return error.error.code == _CONNECTION_CLOSED and error.error.message == "Connection closed"
    return isinstance(error, anyio.ClosedResourceError | anyio.BrokenResourceError)


def describe(error: BaseException) -> str:
    """What happened, without addresses."""
    if isinstance(error, BaseExceptionGroup):
        known = [each for each in _leaves(error) if not isinstance(each, anyio.ClosedResourceError)]
        return describe(known[0]) if known else "the connection ended"
    match error:
        case ProcessError():
            return str(error)
        case httpx.HTTPStatusError():
            return f"it answered with HTTP {error.response.status_code}"
        case httpx.TimeoutException():
            return "it did not answer in time"
        case httpx.HTTPError():
            return "it cannot be reached"
        case McpError():
            return error.error.message
        case ValidationError():
            return "it does not speak the protocol"
        case OSError():
            return error.strerror or "it cannot be reached"
    return "the session with it broke off"


def _leaves(error: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for each in error.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found


def _tool(tool: t.Tool) -> ServerTool:
    hints = tool.annotations
    schema: Mapping[str, Json] = tool.inputSchema
    reads = hints is not None and hints.readOnlyHint is True and hints.destructiveHint is not True
    return ServerTool(tool.name, tool.title or "", tool.description or "", schema, reads=reads)


def result_of(result: t.CallToolResult) -> RemoteResult:
    """What a tool gave back. Raises `ToolFailedError` where it says that it failed."""
    texts: list[str] = []
    files: list[RemoteFile] = []
    for part in result.content:
        match part:
            case t.TextContent():
                texts.append(part.text)
            case t.ImageContent() | t.AudioContent():
                files.append(_file(part.type, part.mimeType, part.data))
            case t.ResourceLink():
                texts.append(f"{part.title or part.name}: {part.uri}")
            case t.EmbeddedResource():
                _hold(part.resource, texts, files)
    if result.isError:
        raise ToolFailedError("\n".join(texts) or "The tool failed and does not say why.")
    if files or len(texts) != 1:
        return RemoteResult(tuple(texts), result.structuredContent, files=tuple(files))
    return _told_once(texts[0], result.structuredContent)


def _hold(
    held: t.TextResourceContents | t.BlobResourceContents, texts: list[str], files: list[RemoteFile]
) -> None:
    """Put what a resource holds to the texts, or to the files."""
    if isinstance(held, t.TextResourceContents):
        texts.append(f"{held.uri}:\n{held.text}")
        return
    name = str(held.uri).rstrip("/").rsplit("/", 1)[-1] or "file"
    files.append(_file(name, held.mimeType or "", held.blob))


def _line(address: str, about: t.Resource | t.ResourceTemplate) -> str:
    name = about.title or about.name
    kind = f" ({about.mimeType})" if about.mimeType else ""
    more = f": {' '.join(about.description.split())[:MAX_ABOUT]}" if about.description else ""
    return f"{address} - {name}{kind}{more}"


def _told_once(text: str, value: dict[str, Any] | None) -> RemoteResult:
    """The protocol has servers say a value as text too; the SDK for servers wraps what is no object."""
    if value is None or (set(value) == {"result"} and _says(text, value["result"])):
        return RemoteResult((text,))
    return RemoteResult(() if _says(text, value) else (text,), value)


def _says(text: str, value: object) -> bool:
    """Whether a text is a value, or its JSON."""
    try:
        return value == text or bool(json.loads(text) == value)
    except ValueError:
        return False


def _file(name: str, mime_type: str, data: str) -> RemoteFile:
    try:
        content = base64.b64decode(data)
    except (binascii.Error, ValueError):
        raise ToolFailedError("The server gave back a file that cannot be decoded.") from None
    kind = mime_type.partition(";")[0].strip().lower()
    ending = "" if "." in name else mimetypes.guess_extension(kind) or ""
    return RemoteFile(f"{name}{ending}", kind or "application/octet-stream", content)
