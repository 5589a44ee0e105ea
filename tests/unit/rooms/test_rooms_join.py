"""Addresses, claims and waiting times."""

from __future__ import annotations

import itertools
import subprocess
import sys

import jwt
import pytest

from process_agent.io.backoff import Backoff
from process_agent.rooms.join import JoinTarget
from process_agent.rooms.tokens import TokenClaims, read_claims, why_refused


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://127.0.0.1:8722", "ws://127.0.0.1:8722/rooms/demo"),
        ("https://api.example/", "wss://api.example/rooms/demo"),
        ("wss://rooms.example/x", "wss://rooms.example/x/rooms/demo"),
    ],
)
def test_the_address_of_a_room(base: str, url: str) -> None:
    assert JoinTarget("demo", base, "t").url == url


def test_a_room_name_cannot_change_the_address() -> None:
    assert JoinTarget("a/../b?x#y", "ws://h", "t").url == "ws://h/rooms/a%2F..%2Fb%3Fx%23y"


def test_the_token_does_not_show() -> None:
    assert "secret" not in repr(JoinTarget("demo", "ws://h", "secret"))


def test_claims_are_read_without_the_key() -> None:
    grants = [{"name": "room", "scope": "demo"}, {"name": "role", "scope": "agent"}, "odd", {"name": 1}]
    payload = {"name": "bot", "sub": "p", "exp": 5, "grants": grants}
    token = jwt.encode(payload, "k" * 32, algorithm="HS256")
    assert read_claims(token) == TokenClaims("bot", "demo", "agent", "p", 5.0)
    assert "expired" in why_refused(token)
    assert read_claims("a.b") is None
    assert read_claims(jwt.encode({"grants": 7}, "k" * 32)) == TokenClaims(None, None, "user", None, None)
    assert "not a participant token" in why_refused("x.y.z")


def test_waiting_doubles_up_to_the_ceiling_and_is_shortened_by_chance() -> None:
    plain = Backoff(first=1, ceiling=5).delays(lambda: 0.0)
    assert list(itertools.islice(plain, 5)) == [1, 2, 4, 5, 5]
    short = Backoff(first=1, ceiling=5, jitter=0.5).delays(lambda: 1.0)
    assert list(itertools.islice(short, 3)) == [0.5, 1.0, 2.0]


def test_importing_what_decides_where_to_join_loads_nothing_heavy() -> None:
    code = (
        "import sys, process_agent.rooms.join, process_agent.rooms.credentials, process_agent.rooms.login;"
        "print([m for m in ('meshagent', 'pyarrow', 'httpx', 'aiohttp', 'lance') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
