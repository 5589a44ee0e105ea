"""Toolkits we host for other participants (room protocol, section 7): the `Toolkits` port.

How we call what others host is in `tool_calls`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from meshagent.api.messaging import pack_message, unpack_message
from meshagent.api.protocol import Protocol

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant
from process_agent.core.room_ports import HostedTool, HostedToolkit, ToolCaller
from process_agent.errors import RoomClosedError, RoomError, RoomRequestError, ToolFailedError
from process_agent.io.backoff import Backoff
from process_agent.io.tasks import Tasks
from process_agent.rooms.messaging import RoomMessaging
from process_agent.rooms.requests import Room
from process_agent.rooms.tool_calls import ToolCalls

logger = logging.getLogger(__name__)

MAX_CALLS = 200
"""Calls of one toolkit that run side by side; more are refused."""

_CALL = "room.tool_call."
_INVALID_REQUEST = 1002
_NOT_FOUND = 1003
_EXISTS = 1004
_OPERATION_FAILED = 1008
_RETRY = Backoff()


class RoomToolkits(ToolCalls):
    """See `core.room_ports.Toolkits`."""

    def __init__(self, room: Room, messaging: RoomMessaging) -> None:
        super().__init__(room)
        self._messaging = messaging

    @property
    def me(self) -> ParticipantId | None:
        """Our own id, under which our toolkits are listed."""
        return self._messaging.me.id

    async def host(self, toolkit: HostedToolkit) -> Callable[[], Awaitable[None]]:
        """Register a public toolkit and answer its calls, side by side, until the returned function is
        awaited. A connection that is lost and taken up again registers it again.

        Raises `RoomRequestError` when the room refuses it.
        """
        if self._room.client.protocol.get_handler(_CALL + toolkit.name) is not None:
            raise RoomRequestError(f"The room cannot host {toolkit.name!r} of ours twice.", code=_EXISTS)
        hosting = _Hosting(self._room, self._messaging, toolkit)
        await hosting.start()
        return hosting.close


class _Hosting:
    """One toolkit from its registration to its withdrawal."""

    def __init__(self, room: Room, messaging: RoomMessaging, toolkit: HostedToolkit) -> None:
        self._room = room
        self._messaging = messaging
        self._toolkit = toolkit
        self._tools = {tool.name: tool for tool in toolkit.tools}
        self._tasks = Tasks(f"toolkit {toolkit.name}")
        self._calls: dict[asyncio.Task[None], str] = {}
        self._registration: str | None = None
        self._registering: asyncio.Task[None] | None = None
        name = toolkit.name
        self._handlers: dict[str, Callable[..., Awaitable[None]]] = {
            _CALL + name: self._called,
            f"room.tool_call_request_chunk.{name}": self._chunk,
        }
        self._unsubscribes: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Register and begin to listen."""
        for kind, handler in self._handlers.items():
            self._room.client.protocol.register_handler(kind, handler)
        self._unsubscribes = [
            self._messaging.on_connection(self._connection),
            self._messaging.on_left(self._left),
        ]
        try:
            await self._register()
        except BaseException:
            self._forget()
            raise

    async def close(self) -> None:
        """Withdraw the toolkit; calls that run are cancelled, and their callers hear that it is gone."""
        if not self._handlers:
            return
        if self._registering is not None:
            self._registering.cancel()
        try:
            if self._registration is not None:
                with self._room.request(f"withdraw the toolkit {self._toolkit.name}"):
                    await self._room.client.send_request(
                        "room.unregister_toolkit", {"id": self._registration}
                    )
        except RoomError as error:
            logger.debug("%s", error)
        await self._tasks.close()
        self._forget()

    def _forget(self) -> None:
        for kind, handler in self._handlers.items():
            self._room.client.protocol.unregister_handler(kind, handler)
        self._handlers = {}
        for unsubscribe in self._unsubscribes:
            unsubscribe()

    # --- Registration ----------------------------------------------------------------------------

    async def _register(self) -> None:
        toolkit = self._toolkit
        request = {
            "name": toolkit.name,
            "title": toolkit.title,
            "description": toolkit.description,
            "public": True,
            "annotations": {},
            "tools": {tool.name: _described(tool) for tool in toolkit.tools},
        }
        with self._room.request(f"host the toolkit {toolkit.name}"):
            answer: Any = await self._room.client.send_request("room.register_toolkit", request)
        self._registration = str(answer["id"])

    def _connection(self, online: bool) -> None:
        if self._registering is not None:
            self._registering.cancel()
        if online:
            self._registering = self._tasks.start(self._register_again(), "register again")
            return
        self._registration = None
        for task in tuple(self._calls):  # the room has told their callers that the host is gone
            task.cancel()

    async def _register_again(self) -> None:
        for delay in _RETRY.delays():
            try:
                await self._register()
            except RoomClosedError:
                return
            except RoomRequestError as error:
                logger.warning("%s", error)
            except RoomError:  # lost again: the next reconnect starts over
                return
            else:
                logger.info("the toolkit %s is registered again", self._toolkit.name)
                return
            await asyncio.sleep(delay)

    # --- Calls -----------------------------------------------------------------------------------

    async def _called(self, protocol: Protocol, message_id: int, kind: str, data: bytes) -> None:
        header, _ = unpack_message(data)
        answer = _Answer(self._room, protocol, message_id)
        tool = self._tools.get(str(header.get("name")))
        arguments = _arguments(header.get("arguments"))
        if tool is None:
            answer.error(f"{self._toolkit.name} has no tool {header.get('name')!r}", _NOT_FOUND)
        elif arguments is None:
            answer.error(f"{tool.name} takes a JSON object", _INVALID_REQUEST)
        elif len(self._calls) >= MAX_CALLS:
            answer.error(f"{MAX_CALLS} calls of {self._toolkit.name} run already", _OPERATION_FAILED)
        else:
            caller = self._caller(str(header.get("caller_id")), header.get("on_behalf_of_id"))
            task = self._tasks.start(self._serve(tool, caller, arguments, answer), tool.name)
            self._calls[task] = caller.participant_id
            task.add_done_callback(lambda done: self._calls.pop(done, None))

    async def _chunk(self, protocol: Protocol, message_id: int, kind: str, data: bytes) -> None:
        """Our tools take no stream; a call that brings one is refused when it opens it."""

    async def _serve(
        self, tool: HostedTool, caller: ToolCaller, arguments: Mapping[str, Json], answer: _Answer
    ) -> None:
        try:
            text = await tool.handler(caller, arguments)
        except ToolFailedError as error:
            answer.error(str(error), _OPERATION_FAILED)
        except asyncio.CancelledError:
            answer.error(f"{self._toolkit.name} was withdrawn", _OPERATION_FAILED)
            raise
        except Exception:
            logger.exception("%s failed", tool.name)
            answer.error(f"{tool.name} failed", _OPERATION_FAILED)
        else:
            answer.send({"type": "text", "text": text})

    def _caller(self, caller_id: str, on_behalf_of_id: object) -> ToolCaller:
        find = self._messaging.participant
        other = find(ParticipantId(on_behalf_of_id)) if isinstance(on_behalf_of_id, str) else None
        return ToolCaller(caller_id, find(ParticipantId(caller_id)), other)

    def _left(self, participant: Participant) -> None:
        for task, caller_id in tuple(self._calls.items()):
            if caller_id == participant.id:
                task.cancel()


class _Answer:
    """The answer to one call, on the connection that brought it. Lost with it: so is the caller's wait."""

    def __init__(self, room: Room, protocol: Protocol, message_id: int) -> None:
        self._room = room
        self._protocol = protocol
        self._message_id = message_id

    def send(self, content: dict[str, Any]) -> None:
        """Answer with a content."""
        if self._protocol is not self._room.client._protocol_instance or not self._protocol.is_open:
            return
        try:
            self._protocol.send_nowait("room.tool_call_response", pack_message(content), self._message_id)
        except RoomError as error:
            logger.warning("a tool's answer is lost: %s", error)

    def error(self, text: str, code: int) -> None:
        """Answer that it failed."""
        self.send({"type": "error", "text": text, "code": code})


def _arguments(content: object) -> Mapping[str, Json] | None:
    """The arguments in a call's content; none at all are empty ones."""
    if not isinstance(content, dict):
        return None
    arguments = {} if content.get("type") == "empty" else content.get("json")
    return arguments if isinstance(arguments, dict) else None


def _described(tool: HostedTool) -> dict[str, Any]:
    schema = dict(tool.schema)
    return {
        "title": tool.title,
        "description": tool.description,
        "input_spec": {"types": ["json"], "stream": False, "schema": schema},
        "output_spec": {"types": ["text"], "stream": False},
        "defs": None,
        "strict": False,
    }
