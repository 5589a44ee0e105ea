"""Requests to the room: what the published client raises, in the words of our error tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from meshagent.api.chan import ChanClosed
from meshagent.api.room_server_client import RoomClient, RoomException

from process_agent.core.content import Json
from process_agent.errors import RoomClosedError, RoomError, RoomRequestError
from process_agent.rooms.connection import RoomConnection
from process_agent.wire.room_frames import pack_payload, read_json, unpack_payload, write_json

MAX_TEXTS = 64
"""Messages whose text is remembered: each goes to all viewers of a thread within a moment."""

MAX_TEXT_BYTES = 1 << 18
"""Longer texts are not remembered."""


class BodyTexts:
    """The JSON text of messages sent lately, which is made once for all who get the same message."""

    def __init__(self) -> None:
        self._texts: dict[int, tuple[Mapping[str, Json], bytes]] = {}

    def text(self, body: Mapping[str, Json]) -> bytes:
        """The text of a message that is never changed."""
        known = self._texts.get(id(body))
        if known is not None and known[0] is body:
            return known[1]
        text = write_json(body)
        if len(text) <= MAX_TEXT_BYTES:
            if len(self._texts) >= MAX_TEXTS:
                del self._texts[next(iter(self._texts))]
            self._texts[id(body)] = (body, text)
        return text


class Room:
    """A RoomClient with the connection under it: what every port of a joined room stands on."""

    def __init__(self, client: RoomClient, connection: RoomConnection) -> None:
        self.client = client
        self.connection = connection
        self.texts = BodyTexts()

    @property
    def connected(self) -> bool:
        """Whether requests can be sent now."""
        return bool(self.client.is_connected)

    @contextmanager
    def request(self, what: str) -> Iterator[None]:
        """Translate what a request raises. `what` completes "cannot …".

        `RoomRequestError` is the room's refusal; `RoomError` says that the connection was lost and the
        outcome is not known; `RoomClosedError` that it will not come back.
        """
        attempt = self.connection.attempts
        try:
            yield
        except RoomException as error:
            if self.connected and self.connection.attempts == attempt:
                code = error.code
                raise RoomRequestError(
                    f"The room cannot {what}: {error}", code=None if code is None else int(code)
                ) from error
            if self.connection.failure is not None or self.client.is_closed:
                raise RoomClosedError(f"Cannot {what}: the room is left.") from error
            raise RoomError(f"Cannot {what}: the connection to the room is lost.") from error

    async def call(
        self, kind: str, header: Mapping[str, Json], data: bytes = b""
    ) -> tuple[Mapping[str, Json], bytes]:
        """Ask the room for something; inside of `request`. Returns the header and the data of the answer. The
        published client makes the same call with tracing, a stream of chunks for the answer and a handler
        for each.

        Raises `RoomException` when the room refuses or the connection is lost.
        """
        if not self.connected:
            raise RoomException("the room is not connected")
        try:
            answer = await self.connection.ask(kind, pack_payload(write_json(header), data))
        except ChanClosed as error:
            raise RoomException("the connection was lost") from error
        text, rows = unpack_payload(answer)
        said = read_json(text)
        if not isinstance(said, dict):
            raise RoomException("the room answered with what is no object")
        if said.get("type") == "error":
            raise RoomException(str(said.get("text")), code=said.get("code"))
        return said, rows

    async def until_connected(self) -> None:
        """Wait for the connection to be taken up again. Raises `RoomClosedError` when it never will be."""
        try:
            await self.client.wait_until_connected()
        except RoomException as error:
            raise self.connection.failure or RoomClosedError("The room is left.") from error
