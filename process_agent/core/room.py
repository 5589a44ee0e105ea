"""The ports of a joined room: messaging and datasets.

Tables travel as Arrow through the PyCapsule interface, so that core needs no Arrow library: anything with
`__arrow_c_stream__` (a `pyarrow.Table`) or `__arrow_c_schema__` (a `pyarrow.Schema`) fits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant

AGENT_MESSAGE = "agent-message"
"""Room messaging type of every agent message (agent protocol section 1.1)."""


@runtime_checkable
class InOrder(Protocol):
    """A way into a room that may share its order with others."""

    @property
    def in_order(self) -> bool:
        """Whether what is begun here now gets to the room before what is begun later on another way for which
        this holds, and is done there, whatever becomes of us.
        """
        ...


class ArrowTable(Protocol):
    """Rows with their schema."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Arrow C stream capsule."""
        ...


@runtime_checkable
class ArrowStream(ArrowTable, Protocol):
    """Rows that can be had as they travel, without an Arrow library in between."""

    def ipc_stream(self) -> bytes:
        """A whole Arrow IPC stream."""
        ...


class ArrowSchema(Protocol):
    """Columns and their types."""

    def __arrow_c_schema__(self) -> object:
        """Arrow C schema capsule."""
        ...


@dataclass(frozen=True, slots=True)
class RoomMessage:
    """A unary message another participant sent us. `sender` is None when it is not on the roster."""

    sender: Participant | None
    type: str
    body: Mapping[str, Json]
    attachment: bytes | None = None


class IncomingStream(Protocol):
    """A messaging stream that another participant opened to us (agent protocol section 1.2)."""

    @property
    def sender(self) -> Participant | None:
        """Who opened it."""
        ...

    @property
    def type(self) -> str:
        """Stream type, like `meshagent.chat.thread.subscribe`."""
        ...

    @property
    def body(self) -> Mapping[str, Json]:
        """The first message."""
        ...

    async def accept(self) -> None:
        """Let the sender go on."""
        ...

    async def reject(self, text: str) -> None:
        """Refuse with a reason people understand."""
        ...

    async def send(self, message_type: str, body: Mapping[str, Json]) -> None:
        """Send one message down the stream. Raises `RoomError` when the stream is over."""
        ...

    def messages(self) -> AsyncIterator[tuple[str, Mapping[str, Json]]]:
        """What the other side sends, as (type, body), until it closes."""
        ...

    async def close(self) -> None:
        """End the stream. Idempotent."""
        ...


class OutgoingStream(Protocol):
    """A messaging stream we opened to another participant, who accepted it (agent protocol section 1.2)."""

    async def send(self, message_type: str, body: Mapping[str, Json]) -> None:
        """Send one message down the stream. Raises `RoomError` when the stream is over."""
        ...

    def messages(self) -> AsyncIterator[tuple[str, Mapping[str, Json]]]:
        """What the other side sends, as (type, body), in order, until either side closes or the connection
        is lost. One reader; a slow one slows the sender down.
        """
        ...

    async def close(self) -> None:
        """End the stream. Idempotent."""
        ...


class Messaging(Protocol):
    """Presence and messages."""

    @property
    def me(self) -> Participant:
        """Our own entry; its id changes when the connection is taken up again."""
        ...

    def participants(self) -> Sequence[Participant]:
        """The other participants that enabled messaging."""
        ...

    def participant(self, participant_id: ParticipantId) -> Participant | None:
        """One of them."""
        ...

    async def send(self, to: ParticipantId, message_type: str, body: Mapping[str, Json]) -> None:
        """Send one message. Raises `RoomRequestError` with code 1003 when the participant is gone."""
        ...

    async def open_stream(
        self, to: ParticipantId, stream_type: str, body: Mapping[str, Json]
    ) -> OutgoingStream:
        """Open a stream; returns once the other side accepted it. Raises `RoomRequestError` with its reason
        when it refuses.
        """
        ...

    async def set_attributes(self, attributes: Mapping[str, Json]) -> None:
        """Change our own attributes; None withdraws one."""
        ...

    def on_message(self, handler: Callable[[RoomMessage], None]) -> Callable[[], None]:
        """Call `handler` for each incoming message, in order, without waiting; returns the unsubscribe."""
        ...

    def on_stream(self, handler: Callable[[IncomingStream], None]) -> Callable[[], None]:
        """Call `handler` for each stream another participant opens; returns the unsubscribe."""
        ...

    def on_joined(self, handler: Callable[[Participant], None]) -> Callable[[], None]:
        """Call `handler` when a participant enables messaging, and again when its attributes change; returns
        the unsubscribe.
        """
        ...

    def on_left(self, handler: Callable[[Participant], None]) -> Callable[[], None]:
        """Call `handler` when a participant leaves or disables messaging; returns the unsubscribe."""
        ...

    def on_connection(self, handler: Callable[[bool], None]) -> Callable[[], None]:
        """Call `handler` with False when the connection is lost and with True when it is taken up again and
        the roster is known; returns the unsubscribe. Streams do not survive a lost connection.
        """
        ...


@dataclass(frozen=True, slots=True)
class TableRef:
    """A dataset table."""

    name: str
    namespace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableChange:
    """What a watch of a table tells. `current` rows are those it begins with, in one or more batches until
    `ready`; then come rows as they are once `changed`, or as they were when `removed`. After a lost
    connection it begins again.
    """

    kind: Literal["current", "ready", "changed", "removed"]
    rows: ArrowTable


@dataclass(frozen=True, slots=True)
class Places:
    """Rows of a table that follow each other, the first of them at `first` of `total`, counted from 0."""

    rows: ArrowTable
    first: int
    total: int


@runtime_checkable
class ByPlace(Protocol):
    """Tables whose rows can be read by their place in one call, in some rooms."""

    async def read(
        self,
        table: TableRef,
        columns: Sequence[str],
        limit: int,
        *,
        first: int | None = None,
        compact: bool = False,
    ) -> Places | None:
        """Rows from a place on, or the last ones where none is given: `limit` of them, or fewer where they
        are large. What is `compact` has texts in dictionaries. None when this room cannot.
        """
        ...


type IndexKind = Literal["BTREE", "BITMAP"]
"""For columns of many values, and for those of few."""


@dataclass(frozen=True, slots=True)
class TableIndex:
    """An index of a table. `rows` are those it knows; None when the room does not say."""

    columns: tuple[str, ...]
    kind: str
    rows: int | None = None


class Datasets(Protocol):
    """Tables of the room. Every method raises `RoomRequestError` when the room refuses it."""

    async def list_tables(self, namespace: tuple[str, ...]) -> Sequence[str]:
        """Names of the tables in a namespace; an unknown namespace has none."""
        ...

    async def create(
        self,
        table: TableRef,
        schema: ArrowSchema,
        mode: Literal["create", "create_if_not_exists", "overwrite"],
    ) -> None:
        """Create a table without rows."""
        ...

    async def schema(self, table: TableRef) -> ArrowSchema:
        """Columns of a table, with extension types and metadata."""
        ...

    async def insert(self, table: TableRef, rows: ArrowTable) -> None:
        """Append rows; durable and visible on return."""
        ...

    async def merge(self, table: TableRef, rows: ArrowTable, on: str) -> None:
        """Insert rows, replacing those with an equal value in column `on`."""
        ...

    async def update(self, table: TableRef, where: str, values: Mapping[str, Json]) -> None:
        """Set columns of the rows that match the SQL condition."""
        ...

    async def delete(self, table: TableRef, where: str) -> None:
        """Remove the rows that match the SQL condition."""
        ...

    async def drop(self, table: TableRef) -> None:
        """Remove a table; one that is missing is fine."""
        ...

    async def count(self, table: TableRef) -> int:
        """Number of rows."""
        ...

    def search(
        self,
        table: TableRef,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[ArrowTable]:
        """Rows in batches, in table order."""
        ...

    def watch(self, table: TableRef) -> AsyncIterator[TableChange]:
        """The current rows, then each change, until the iterator is closed."""
        ...

    async def rename(self, table: TableRef, name: str) -> None:
        """Give a table another name in its namespace, which nothing may have."""
        ...

    async def add_columns(self, table: TableRef, columns: ArrowSchema) -> None:
        """Add columns, which are null in the rows there are."""
        ...

    async def optimize(
        self,
        table: TableRef,
        *,
        full_at: int | None = None,
        forget_all: bool = False,
        refresh_indexes: bool = True,
    ) -> None:
        """Compact small fragments, and forget old versions; with `forget_all` all but the latest. Those of
        `full_at` rows, or without it of a million, are left as they are. With `refresh_indexes` indexes take
        in the rows that came since, for which a room may write them anew.
        """
        ...

    async def list_indexes(self, table: TableRef) -> Sequence[TableIndex]:
        """The indexes of a table."""
        ...

    async def create_index(self, table: TableRef, column: str, kind: IndexKind) -> None:
        """Index a column, under the name that the room gives it; takes a second for a million rows."""
        ...
