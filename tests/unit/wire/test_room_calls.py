"""Signatures of calls into rooms, and what they hold."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.errors import AuthError, WireError
from process_agent.wire.room_calls import STALE_SECONDS, Call, check_signature, read_call

SECRET = "s" * 32
NOW = 1_800_000_000.0
CALL = {"room_name": "demo", "room_url": "ws://127.0.0.1/rooms/demo", "token": "t"}


def payload(**data: Any) -> bytes:
    return json.dumps({"event": "room.call", "data": {**CALL, **data}}).encode()


def signed(body: bytes, secret: str = SECRET, **claims: Any) -> str:
    return "Bearer " + jwt.encode({"sha256": sha256(body).hexdigest(), **claims}, secret, algorithm="HS256")


def test_a_signed_call_is_read() -> None:
    body = payload(arguments={"a": 1})
    check_signature(body, signed(body), SECRET, NOW)
    check_signature(body, signed(body, iat=int(NOW) - 10, exp=int(NOW) + 10), SECRET, NOW)
    assert read_call(body) == Call("demo", "ws://127.0.0.1/rooms/demo", "t")
    assert "'t'" not in repr(read_call(body)), "a token is in no log"


def test_the_same_call_written_otherwise_is_signed_too() -> None:
    """Between caller and us the JSON may be written anew; the published server compares its own writing."""
    body = payload()
    check_signature(json.dumps(json.loads(body), indent=1).encode(), signed(body), SECRET, NOW)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (None, "not signed"),
        (signed(payload()).removeprefix("Bearer "), "not signed"),
        ("Basic abc", "not signed"),
        ("Bearer ", "not signed"),
        ("Bearer abc.def.ghi", "not valid"),
        (signed(payload(), "x" * 32), "not valid"),
        (signed(payload(), exp=int(NOW) - 1), "not valid"),
        (signed(payload(), aud="somebody"), "not valid"),
        ("Bearer " + jwt.encode({"sha256": "00"}, "", algorithm="none"), "not valid"),
        (signed(payload(), iat=NOW - STALE_SECONDS - 1), "too old"),
        (signed(payload(), iat=NOW + STALE_SECONDS + 1), "from the future"),
        (signed(payload(), iat="now"), "too old"),
        (signed(payload(), sha256=None), "says nothing"),
        (signed(payload(), sha256="é"), "says nothing"),
        (signed(payload(room_name="other")), "another call"),
    ],
)
def test_what_is_not_signed_for_us(header: str | None, said: str) -> None:
    with pytest.raises(AuthError, match=said):
        check_signature(payload(), header, SECRET, NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 60_000,
        b"\xff",
        b'{"event": "room.call"}',
        b'{"event": "room.call", "data": []}',
        payload(room_name=""),
        payload(room_name="a" * 201),
        payload(room_name="a\nb"),
        payload(room_url=1),
        payload(token=None),
    ],
)
def test_what_is_no_call(body: bytes) -> None:
    with pytest.raises(WireError):
        read_call(body)


def test_other_events_are_none_of_ours() -> None:
    assert read_call(b'{"event": "room.started", "data": {}}') is None
    assert read_call(b"{}") is None


@given(st.binary(max_size=200), st.text(max_size=80))
def test_nothing_unsigned_gets_through(body: bytes, header: str) -> None:
    with pytest.raises(AuthError):
        check_signature(body, header, SECRET, NOW)
