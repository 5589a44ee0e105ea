"""Which calls into rooms are taken."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from process_agent.services.calls import CallRules, is_room_at, judge
from process_agent.wire.participant_token import ParticipantToken, encode
from process_agent.wire.room_calls import Call

BASE = "http://127.0.0.1:8722"
RULES = CallRules("bot", BASE, 2)
NOW = 1_800_000_000.0
KEY = "k" * 32


def token(name: str = "bot", room: str | None = "demo", role: str = "agent", **more: Any) -> str:
    return encode(ParticipantToken(name, room, role, {}, **more), KEY)


def call(room: str = "demo", url: str | None = None, text: str | None = None) -> Call:
    return Call(room, url or f"ws://127.0.0.1:8722/rooms/{room}", text or token(room=room))


def test_a_good_call_joins_once_and_not_beyond_the_limit() -> None:
    assert (judge(call(), RULES, (), NOW).status, judge(call(), RULES, (), NOW).joins) == (200, True)
    again = judge(call(), RULES, ("demo",), NOW)
    assert (again.status, again.joins) == (200, False)
    assert not judge(call(), RULES, ("demo", "other"), NOW).joins, "again, also when no further one is taken"
    full = judge(call(), RULES, ("a", "b"), NOW)
    assert (full.status, full.joins) == (503, False)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (call(url="ws://evil.example/rooms/demo"), "below"),
        (call(text="no token"), "no token"),
        (call(text=token("somebody")), "not for bot"),
        (call(text=token(role="user")), "role user"),
        (call(text=token(room="other")), "another room"),
        (call(text=token(expires=int(NOW) - 1)), "expired"),
        (call(text=jwt.encode({"name": "bot", "grants": [], "exp": "soon"}, KEY)), "not a number"),
        (call(text=jwt.encode({"name": "bot"}, KEY)), "no grants"),
    ],
)
def test_what_is_refused(wrong: Call, said: str) -> None:
    verdict = judge(wrong, RULES, (), NOW)
    assert (verdict.status, verdict.joins) == (403, False)
    assert said in verdict.text


@pytest.mark.parametrize(
    ("url", "base", "good"),
    [
        ("ws://127.0.0.1:8722/rooms/demo", BASE, True),
        ("http://127.0.0.1:8722/rooms/demo", BASE, True),
        ("wss://api.example/rooms/demo", "https://api.example", True),
        ("wss://API.example:443/rooms/demo", "https://api.example/", True),
        ("wss://api.example/v1/rooms/demo", "https://api.example/v1", True),
        ("ws://api.example/rooms/demo", "https://api.example", False),
        ("wss://api.example.evil.example/rooms/demo", "https://api.example", False),
        ("wss://api.example:444/rooms/demo", "https://api.example", False),
        ("wss://api.example:bad/rooms/demo", "https://api.example", False),
        ("wss://me:x@api.example/rooms/demo", "https://api.example", False),
        ("wss://@api.example/rooms/demo", "https://api.example", False),
        ("wss://api.example/rooms/demo?x=1", "https://api.example", False),
        ("wss://api.example/rooms/demo#x", "https://api.example", False),
        ("wss://api.example/rooms/demo/../x", "https://api.example", False),
        ("wss://api.example/rooms/other", "https://api.example", False),
        ("/rooms/demo", "https://api.example", False),
        ("", "https://api.example", False),
    ],
)
def test_which_address_is_a_room_of_ours(url: str, base: str, good: bool) -> None:
    assert is_room_at(Call("demo", url, "t"), base) is good
