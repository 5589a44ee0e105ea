"""The websocket under a RoomClient, with the endings that the published one gets wrong.

The published protocol takes every close frame as final, an HTTP 401 as a reason to try for ever, and a write
to a dying connection as a wish to stop; a text frame or a broken packet makes it deaf. What is final and what
is tried again is decided here:

| What happened                                               | Then                 |
|-------------------------------------------------------------|----------------------|
| HTTP 401, 403 on the upgrade                                | `AuthError`, final   |
| HTTP 404, 423 on the upgrade                                | `RoomError`, final   |
| close 1000, 1008, 3000 to 4999, or without a code           | `RoomClosedError`, final |
| any other close, no close frame, a failed write, bad packets | tried again          |

This module imports the published client, which takes most of a second: import it where a room is joined.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import Any

from aiohttp import ClientError, ClientResponseError, WSMsgType
from meshagent.api.chan import ChanClosed
from meshagent.api.protocol import ProtocolCloseKind
from meshagent.api.websocket_protocol import WebSocketClientProtocol

from process_agent.errors import AuthError, ProcessError, RoomClosedError, RoomError
from process_agent.rooms.outgoing import Outgoing
from process_agent.rooms.tokens import why_refused
from process_agent.wire import room_offers

logger = logging.getLogger(__name__)

WRITABLE_BELOW = 1 << 20
"""Bytes not yet given to the socket above which senders wait."""

MAX_UNSENT = 64 << 20
"""Bytes not yet given to the socket above which sending fails: the room has stopped reading."""

MAX_MESSAGE = 256 << 20
"""Largest message taken from the room, in bytes."""

MAX_UNHANDLED = 1000
"""Messages received and not yet handled above which reading pauses."""

CLOSE_SECONDS = 2.0
"""How long leaving waits for what is unsent, and then for the answer to our close frame."""

_ANSWER = "__response__"
_FINAL_STATUS = {401, 403, 404, 423}


class RoomConnection:
    """All connections of one membership: makes one `RoomProtocol` per attempt and knows how each ended.

    `failure` is set once the membership is over for good; `last_loss` says in words how the latest attempt
    or connection failed.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.failure: ProcessError | None = None
        self.last_loss: str | None = None
        self.attempts = 0
        self.offers = room_offers.NOTHING
        """What the room can beyond the published protocol, by its latest greeting."""
        self._token = token
        self._current: RoomProtocol | None = None

    def __call__(self) -> RoomProtocol:
        """The `protocol_factory` of a RoomClient."""
        self.attempts += 1
        self.offers = room_offers.NOTHING
        self._current = RoomProtocol(self, url=self.url, token=self._token)
        return self._current

    async def writable(self) -> None:
        """Return when what waits to be sent is below `WRITABLE_BELOW`, or the connection is lost."""
        if self._current is not None:
            await self._current.outgoing.drained.wait()

    def ask(self, kind: str, payload: bytes) -> asyncio.Future[bytes]:
        """Send a request; its answer's payload. The future raises `ChanClosed` when the connection is lost
        before, as this does when there is none, and `RoomError` when too much waits to be sent.
        """
        if self._current is None:
            raise ChanClosed
        return self._current.ask(kind, payload)

    async def abandon(self) -> None:
        """Release the connection when joining was cut short."""
        if self._current is not None:
            await self._current.__aexit__(None, None, None)

    def refused(self, status: int) -> None:
        """The upgrade was answered with a final HTTP status."""
        match status:
            case 401 | 403:
                why = why_refused(self._token)
                self.failure = AuthError(f"The room at {self.url} refused the token (HTTP {status}){why}")
            case 423:
                self.failure = RoomError(f"The room at {self.url} is disabled (HTTP 423).")
            case _:
                self.failure = RoomError(
                    f"There is no room at {self.url} (HTTP {status}).", fix="Check the room's name."
                )

    def closed(self, code: int, reason: str) -> None:
        """The room ended the membership with a final close frame."""
        why = f": {reason}" if reason else "."
        self.failure = RoomClosedError(f"The room at {self.url} closed the connection ({code}){why}")


class RoomProtocol(WebSocketClientProtocol):
    """One connection. RoomClient retries after the close kind ERROR and gives up after any other."""

    # The published class leaves these untyped.
    _ws: Any
    _ws_recv_task: Any

    def __init__(self, connection: RoomConnection, *, url: str, token: str) -> None:
        super().__init__(url=url, token=token)
        self.outgoing = Outgoing(WRITABLE_BELOW)
        self._handled = asyncio.Event()
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._connection = connection
        self._incoming = 0
        self._socket: Any = None

    async def __aenter__(self) -> RoomProtocol:
        published: Any = super()
        try:
            await published.__aenter__()
        except ClientResponseError as error:
            self._connection.last_loss = f"HTTP {error.status}"
            if error.status in _FINAL_STATUS:
                self._connection.refused(error.status)
            if error.status == 401:
                # RoomClient gives up on 403 and tries a 401 again for ever.
                raise ClientResponseError(
                    error.request_info, error.history, status=403, message="token refused"
                ) from error
            raise
        except Exception as error:
            self._connection.last_loss = str(error) or type(error).__name__
            raise
        self._socket = self._ws.get_extra_info("socket")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        published: Any = super()
        if self._ws is not None and not self._ws.closed:
            if self.is_open:
                await self._within(self.outgoing.empty.wait())
            self._set_close_state(kind=ProtocolCloseKind.CLIENT)
            await self._within(self._ws.close())
        self._cut()
        self.outgoing.end()
        await published.__aexit__(None, None, None)

    @staticmethod
    async def _within(awaitable: Any) -> None:
        """Wait for something at most CLOSE_SECONDS; when it takes longer it is cancelled."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await awaitable
        except TimeoutError:
            logger.debug("the room did not answer while leaving")

    # --- receiving ----------------------------------------------------------------------------

    async def _ws_recv(self) -> None:
        ending = await self._receive_all()
        if ending is None:
            self._lost("the connection was lost")
            return
        code, reason = ending
        if code in (0, 1000, 1005, 1008) or 3000 <= code < 5000:
            self._connection.closed(code, reason)
            # CLIENT is the one kind that RoomClient takes as final also while it is still starting.
            self._end(ProtocolCloseKind.CLIENT, f"closed by the room with code {code} {reason}".strip())
        else:
            self._lost(f"closed by the room with code {code} {reason}".strip())

    async def _receive_all(self) -> tuple[int, str] | None:
        """Read until the end; the code and reason of the close frame, or None when there was none."""
        while True:
            message = await self._ws.receive()
            match message.type:
                case WSMsgType.BINARY:
                    if not self._take(message.data):
                        return None
                    await self._let_handlers_work()
                case WSMsgType.TEXT:
                    logger.warning("ignored a text frame from the room")
                case WSMsgType.CLOSE:
                    return int(message.data or 0), str(message.extra or "")
                case _:
                    return None

    def _take(self, packet: bytes) -> bool:
        """Feed one packet to the published parser; False when the connection cannot go on."""
        self._incoming = len(packet) if packet[8:12] == bytes(4) else self._incoming + len(packet)
        if self._incoming > MAX_MESSAGE:
            logger.error("the room sent a message above %d bytes", MAX_MESSAGE)
            return False
        try:
            self.receive_packet(packet)
        except ValueError as error:
            logger.error("the room sent a broken packet: %s", error)
            return False
        return True

    async def _let_handlers_work(self) -> None:
        while self._recv_ch.qsize() > MAX_UNHANDLED and self.is_open:
            self._handled.clear()
            await self._handled.wait()

    async def _handle_message(self, message_id: int, type: str, data: bytes) -> None:
        if type == "room_ready":
            self._connection.offers = room_offers.offers_of(data)
            self.outgoing.packet_bytes = self._connection.offers.packet_bytes
        asked = self._asked.pop(message_id, None) if type == _ANSWER else None
        if asked is None:
            await super()._handle_message(message_id, type, data)
        elif not asked.done():
            asked.set_result(data)
        self._handled.set()

    def _lost(self, reason: str) -> None:
        self._connection.last_loss = reason
        self._end(ProtocolCloseKind.ERROR, reason)

    def _end(self, kind: ProtocolCloseKind, reason: str) -> None:
        self._set_close_state(kind=kind, reason=reason)
        published: Any = super()
        published._shutdown()
        self._cut()
        self._end_all()
        self._handled.set()

    def _cut(self) -> None:
        """Shut the socket down, so that a write to a peer that stopped reading ends too."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket = None

    # --- sending ------------------------------------------------------------------------------

    def send_nowait(
        self, type: str, data: bytes | str, message_id: int | None = None, *, with_next: bool = False
    ) -> int:
        """Queue a message; its id. Raises `RoomError` when too much is queued already, and `ChanClosed`, as
        the published one does, when the connection is over. `with_next`: see `Outgoing.put`.
        """
        data = data.encode() if isinstance(data, str) else data
        if self.outgoing.size + len(data) > MAX_UNSENT:
            raise RoomError(f"The room does not read: {self.outgoing.size >> 20} MiB wait to be sent.")
        if self._send_ch.closed:
            raise ChanClosed
        if message_id is None:
            published: Any = self
            message_id = int(published.next_message_id())
        self.outgoing.put(message_id, type, data, with_next=with_next)
        return message_id

    def _shutdown(self) -> None:
        published: Any = super()
        published._shutdown()
        self._end_all()

    def ask(self, kind: str, payload: bytes) -> asyncio.Future[bytes]:
        """See `RoomConnection.ask`. The published client's own way costs about as much as the request."""
        message_id = self.send_nowait(kind, payload, with_next=True)
        answer = self._asked[message_id] = asyncio.get_running_loop().create_future()
        return answer

    def _end_all(self) -> None:
        """Nothing is sent any more, and no answer comes."""
        self.outgoing.end()
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            if not answer.done():
                answer.set_exception(ChanClosed())

    async def _send_task(self) -> None:
        """Started by the published class; a failure leaves the verdict to the reader, which sees the close
        frame if there is one.
        """
        try:
            await self.outgoing.write_all(self._ws._writer)
            return
        except (ClientError, OSError, RuntimeError) as error:
            failure = str(error) or type(error).__name__
        await asyncio.wait([self._ws_recv_task], timeout=CLOSE_SECONDS)
        if self.is_open:
            self._lost(f"sending failed: {failure}")
