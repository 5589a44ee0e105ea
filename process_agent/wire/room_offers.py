"""What the local room can beyond the published protocol: its `room_ready` says so, others pass over it.

A room that says nothing is spoken to as published clients do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from process_agent.errors import WireError
from process_agent.wire import room_frames

MEMBER: Final = "process"
"""The member of `room_ready` that holds the offers."""

INSERT_ROWS: Final = "dataset.insert_rows"
"""`insert` in one call: start object and rows go with it, the answer means that they are durable. The
published protocol's stream takes three round trips, for which caller and room wake three times. A call that
got to the room is done, also when its caller is gone by then.
"""

READ_ROWS: Final = "dataset.read_rows"
"""Rows of a table by their place, counted from its beginning or its end, in one call, with the number of all
rows: what takes a count and a streamed search in the published protocol.
"""

READ_END: Final = "dataset.read_end"
"""The end of a table whose rows belong to groups (`core.groups.GroupsAsked`), in one call: what one needs who
goes on there, and the first rows of the last groups. It takes three of `read_rows`, one after another, and
then most of what they return is not needed.
"""

PUBLISHED_PACKET: Final = 1_024
"""Payload bytes in one packet: what published clients send, and every room takes."""

LARGE_PACKET: Final = 32_768
"""The same towards a room that takes more."""


@dataclass(frozen=True, slots=True)
class Offers:
    """`tools` are names of `toolkit.tool`; `packet_bytes` the most payload of one packet."""

    tools: frozenset[str] = frozenset()
    packet_bytes: int = PUBLISHED_PACKET


NOTHING: Final = Offers()
OURS: Final[dict[str, Any]] = {"tools": [INSERT_ROWS, READ_ROWS, READ_END], "packet_bytes": LARGE_PACKET}


def offers_of(room_ready: bytes) -> Offers:
    """The offers in the payload of a `room_ready`; what makes no sense offers nothing."""
    try:
        header, _ = room_frames.unpack_payload(room_ready)
        offered = room_frames.read_json(header)
    except WireError:
        return NOTHING
    offered = offered.get(MEMBER) if isinstance(offered, dict) else None
    if not isinstance(offered, dict):
        return NOTHING
    tools, packet_bytes = offered.get("tools"), offered.get("packet_bytes")
    return Offers(
        frozenset(tool for tool in tools if isinstance(tool, str))
        if isinstance(tools, list)
        else frozenset(),
        LARGE_PACKET if isinstance(packet_bytes, int) and packet_bytes >= LARGE_PACKET else PUBLISHED_PACKET,
    )
