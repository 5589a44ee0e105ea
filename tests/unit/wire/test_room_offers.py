"""What a room says it can beyond the published protocol."""

from __future__ import annotations

import pytest

from process_agent.wire import room_frames, room_offers
from process_agent.wire.room_offers import (
    INSERT_ROWS,
    LARGE_PACKET,
    NOTHING,
    PUBLISHED_PACKET,
    READ_END,
    READ_ROWS,
    offers_of,
)


def ready(member: object) -> bytes:
    header = room_frames.write_json({"room_name": "demo", room_offers.MEMBER: member})
    return room_frames.pack_payload(header)


def test_the_local_room_offers_rows_in_one_call_and_large_packets() -> None:
    offers = offers_of(ready(room_offers.OURS))
    assert (offers.tools, offers.packet_bytes) == (
        frozenset([INSERT_ROWS, READ_ROWS, READ_END]),
        LARGE_PACKET,
    )


@pytest.mark.parametrize("member", [None, "x", [], {}, {"tools": 1, "packet_bytes": "64"}, {"tools": [1]}])
def test_what_makes_no_sense_offers_nothing(member: object) -> None:
    assert offers_of(ready(member)) == NOTHING


def test_no_room_makes_us_send_larger_packets_than_we_know_to_send() -> None:
    assert offers_of(ready({"packet_bytes": 1 << 40})).packet_bytes == LARGE_PACKET
    assert offers_of(ready({"packet_bytes": 1})).packet_bytes == PUBLISHED_PACKET


@pytest.mark.parametrize("payload", [b"", b"\x00" * 8, b"\xff" * 20, room_frames.pack_payload(b"[1]")])
def test_a_greeting_that_cannot_be_read_offers_nothing(payload: bytes) -> None:
    assert offers_of(payload) == NOTHING
