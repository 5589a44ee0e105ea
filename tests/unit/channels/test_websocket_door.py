"""Who may open a websocket: every way in, and what does not open it."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from process_agent.channels.websocket.door import (
    Door,
    Knock,
    Refused,
    Visitor,
    WebsocketOptions,
    choose_protocol,
    described,
)
from process_agent.errors import UsageError
from process_agent.wire import participant_token
from process_agent.wire.participant_token import ParticipantToken

NOW = 1_800_000_000.0
KEY, OTHER = "k" * 64, "o" * 64
HOST = {"host": "127.0.0.1:8765"}


def door(options: WebsocketOptions | None = None, host: str = "127.0.0.1", room: str | None = "demo") -> Door:
    return Door(options or WebsocketOptions(keys=(KEY,)), host, "bot", room)


def token(key: str = KEY, **more: Any) -> str:
    made: dict[str, Any] = {"agents": ("bot",)} | more
    return participant_token.encode(ParticipantToken("ana", **made), key)


def admit(opened: Door, text: str | None = None, **headers: str) -> Visitor | Refused:
    sent = HOST | {name.replace("_", "-"): value for name, value in headers.items()}
    if text is not None:
        sent["authorization"] = f"Bearer {text}"
    return opened.admit(Knock(sent), NOW)


def test_the_token_says_who_comes_in() -> None:
    assert admit(door(), token()) == Visitor("ana", "user")
    assert admit(door(), token(role="agent")) == Visitor("ana", "agent")
    assert admit(door(), token(agents=("other", "bot"), room="demo")) == Visitor("ana", "user")
    assert admit(door(room=None), token(room="anything")) == Visitor("ana", "user")


def test_any_of_the_keys_is_good() -> None:
    both = door(WebsocketOptions(keys=(OTHER, KEY)))
    assert admit(both, token()) == admit(both, token(OTHER)) == Visitor("ana", "user")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (None, 401),
        ("", 401),
        ("x.y.z", 401),
        (token(OTHER), 401),
        (token(expires=int(NOW) - 1), 401),
        (token(extra={"nbf": int(NOW) + 60}), 401),
        (token(extra={"aud": "studio"}), 401),
        (
            jwt.encode({"name": "ana", "grants": [{"name": "agent", "scope": "bot"}]}, "", algorithm="none"),
            401,
        ),
        (token(agents=()), 403),
        (token(agents=("bot2", "BOT", "*")), 403),
        (token(room="elsewhere"), 403),
    ],
)
def test_tokens_that_do_not_open(text: str | None, status: int) -> None:
    refused = admit(door(), text)
    assert isinstance(refused, Refused)
    assert refused.status == status
    assert not text or text not in refused.text


def test_a_bad_header_is_not_mended_by_another_way_in() -> None:
    """As in the published channel: who sends an Authorization header is judged by it."""
    knock = Knock(HOST | {"authorization": f"Basic {token()}"}, token(), [f"bearer.{token()}"])
    assert isinstance(door().admit(knock, NOW), Refused)


@pytest.mark.parametrize("prefix", ["meshagent-agent.", "meshagent-token.", "bearer.", "BEARER."])
def test_tokens_in_subprotocols(prefix: str) -> None:
    protocols = ["meshagent-msgpack", prefix + token()]
    assert door().admit(Knock(HOST, None, protocols), NOW) == Visitor("ana", "user")
    assert choose_protocol(protocols) == "meshagent-msgpack"
    assert choose_protocol(protocols[1:]) == protocols[1]


def test_no_subprotocol_is_answered_that_we_do_not_speak() -> None:
    assert choose_protocol([]) is None
    assert choose_protocol(["chat", "graphql-ws"]) is None
    assert choose_protocol(["chat", "meshagent-msgpack"]) == "meshagent-msgpack"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1].evil.example"])
def test_foreign_names_for_loopback(host: str) -> None:
    """What a page of evil.example sends once its name means 127.0.0.1."""
    for options in (WebsocketOptions(keys=(KEY,)), WebsocketOptions("none"), WebsocketOptions("iap")):
        refused = admit(door(options), token(), host=host, x_meshagent_user="ana")
        assert isinstance(refused, Refused)
        assert refused.status == 403


LOCAL_PAGE, OWN_PAGE, FOREIGN_PAGE = "http://localhost:5173", "http://127.0.0.1:8765", "https://evil.example"
NO_PAGES = ("null", "", "https://localhost.evil.example", "https://127.0.0.1.evil.example", "javascript://[")


@pytest.mark.parametrize(
    ("options", "host", "origin", "comes_in"),
    [
        (WebsocketOptions(keys=(KEY,)), "127.0.0.1", LOCAL_PAGE, True),
        (WebsocketOptions(keys=(KEY,)), "127.0.0.1", OWN_PAGE, True),
        (WebsocketOptions(keys=(KEY,)), "127.0.0.1", FOREIGN_PAGE, False),
        *((WebsocketOptions(keys=(KEY,)), "127.0.0.1", origin, False) for origin in NO_PAGES),
        (WebsocketOptions(keys=(KEY,)), "0.0.0.0", FOREIGN_PAGE, True),
        (WebsocketOptions(keys=(KEY,), origins=(FOREIGN_PAGE,)), "127.0.0.1", FOREIGN_PAGE, True),
        (WebsocketOptions("none"), "127.0.0.1", OWN_PAGE, True),
        (WebsocketOptions("none"), "127.0.0.1", LOCAL_PAGE, False),
        (WebsocketOptions("none"), "127.0.0.1", "null", False),
        (WebsocketOptions("none", open_to_network=True), "0.0.0.0", FOREIGN_PAGE, False),
        (WebsocketOptions("iap"), "0.0.0.0", FOREIGN_PAGE, False),
        (WebsocketOptions("iap", origins=(FOREIGN_PAGE,)), "0.0.0.0", FOREIGN_PAGE, True),
    ],
)
def test_pages(options: WebsocketOptions, host: str, origin: str, comes_in: bool) -> None:
    found = admit(door(options, host), token(), origin=origin, x_meshagent_user="ana")
    assert isinstance(found, Visitor) is comes_in


def test_iap_believes_the_proxy_and_nothing_else() -> None:
    iap = door(WebsocketOptions("iap"))
    assert admit(iap, x_meshagent_user=" ana@example.com ") == Visitor("ana@example.com", "user")
    for name in ("", "  ", "a\tb", "x" * 201):
        assert isinstance(admit(iap, x_meshagent_user=name), Refused)
    assert isinstance(admit(iap, token()), Refused)


def test_what_is_open_to_nobody_or_to_all() -> None:
    with pytest.raises(UsageError, match="MESHAGENT_SECRET"):
        door(WebsocketOptions())
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(UsageError, match="--websocket-open"):
            door(WebsocketOptions("none"), host)
    for host in ("127.0.0.1", "127.3.2.1", "::1"):
        door(WebsocketOptions("none"), host)
    door(WebsocketOptions("none", open_to_network=True), "0.0.0.0")
    door(WebsocketOptions("iap"), "0.0.0.0")


def test_keys_are_never_printed() -> None:
    assert KEY not in repr(WebsocketOptions(keys=(KEY,)))


def test_what_the_operator_reads() -> None:
    assert described("jwt", "0.0.0.0", 8765) == (
        "ws://127.0.0.1:8765/messages, with a participant token that has an agent grant"
    )
    assert "everybody on this machine" in described("none", "::1", 1)
    assert "everybody who can reach it" in described("none", "0.0.0.0", 1)
    assert "proxy" in described("iap", "127.0.0.1", 1)
