"""Where to join and as whom, decided from plain values."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import httpx
import jwt
import pytest

from process_agent.config import Settings, load
from process_agent.errors import AuthError, RoomError, UsageError
from process_agent.rooms.credentials import (
    ApiKey,
    JoinWish,
    LocalRoom,
    TokenRequest,
    fetch_token,
    parse_api_key,
    resolve,
)
from process_agent.rooms.join import JoinTarget
from process_agent.rooms.login import SavedLogin, login_file, read_login

SECRET = "s3cret-with-dashes-and-32-bytes-at-least"
KEY = f"ma-ABEiM0RVZneImaq7zN3u_w-._79_P37f9.P79._P8_4vg-{SECRET}"
KEY_ID, PROJECT = "00112233-4455-6677-8899-aabbccddeeff", "fbfefdfc-fdfb-7fdf-8fef-dfbf3fcff8be"
NOW = 1_790_000_000.0
WISH = JoinWish(room="demo", identity="bot")


def settings(**values: str | None) -> Settings:
    return replace(load({}), **values)  # type: ignore[arg-type]


def token(room: str | None = "demo", **claims: object) -> str:
    grants = [] if room is None else [{"name": "room", "scope": room}]
    return jwt.encode({"name": "bot", "grants": grants, **claims}, SECRET, algorithm="HS256")


def login(**values: object) -> SavedLogin:
    plain = SavedLogin("https://api.example", "opaque", NOW + 60, "p1")
    return replace(plain, **values)  # type: ignore[arg-type]


def test_without_credentials_it_is_the_local_room() -> None:
    assert resolve(WISH, settings(), None, NOW) == LocalRoom("demo")


def test_local_wins_over_every_credential() -> None:
    wish = replace(WISH, local=True)
    assert resolve(wish, settings(token=token(), api_key=KEY), login(), NOW) == LocalRoom("demo")


def test_a_room_is_needed_and_can_come_from_the_environment() -> None:
    wish = replace(WISH, room=None)
    assert resolve(wish, settings(room="other"), None, NOW) == LocalRoom("other")
    with pytest.raises(UsageError, match="--room"):
        resolve(wish, settings(), None, NOW)


def test_a_token_names_its_room_and_the_api_url_its_place() -> None:
    mine = token("demo")
    wish = replace(WISH, room=None)
    found = resolve(wish, settings(token=mine, api_url="http://127.0.0.1:1"), None, NOW)
    assert found == JoinTarget("demo", "http://127.0.0.1:1", mine)
    assert isinstance(found, JoinTarget)
    assert found.url == "ws://127.0.0.1:1/rooms/demo"
    there = resolve(wish, settings(token=mine, api_url="http://a", room_url="wss://b"), None, NOW)
    assert isinstance(there, JoinTarget)
    assert there.url == "wss://b/rooms/demo"


def test_a_token_of_another_room_is_refused_before_joining() -> None:
    with pytest.raises(UsageError, match="'demo', not 'other'"):
        resolve(replace(WISH, room="other"), settings(token=token("demo")), None, NOW)


def test_expired_and_broken_tokens_are_auth_errors() -> None:
    with pytest.raises(AuthError, match="expired"):
        resolve(WISH, settings(token=token(exp=NOW - 1)), None, NOW)
    for broken in ("nonsense", "a.b.c", "a.W10.c"):
        with pytest.raises(AuthError, match="not a participant token") as caught:
            resolve(WISH, settings(token=broken), None, NOW)
        assert broken not in str(caught.value)


def test_an_api_key_signs_a_token_with_the_scopes_of_an_agent() -> None:
    found = resolve(WISH, settings(api_key=KEY), None, NOW)
    assert isinstance(found, JoinTarget)
    assert found.url == "wss://api.meshagent.com/rooms/demo"
    payload = jwt.decode(found.token, SECRET, algorithms=["HS256"])
    assert (payload["name"], payload["kid"], payload["sub"]) == ("bot", KEY_ID, PROJECT)
    grants = {grant["name"]: grant["scope"] for grant in payload["grants"]}
    assert grants["room"] == "demo"
    assert grants["role"] == "agent"
    assert {"messaging", "dataset", "llm"} <= set(grants["api"])
    assert "admin" not in grants["api"]


def test_the_published_library_reads_api_keys_the_same_way() -> None:
    from meshagent.api.keys import ApiKey as PublishedKey
    from meshagent.api.keys import encode_api_key
    from meshagent.api.keys import parse_api_key as published_parse

    written = encode_api_key(PublishedKey(id=KEY_ID, project_id=PROJECT, secret=SECRET))
    assert parse_api_key(written, "X") == ApiKey(KEY_ID, PROJECT, SECRET)
    theirs, ours = published_parse(KEY), parse_api_key(KEY, "X")
    assert (theirs.id, theirs.project_id, theirs.secret) == (ours.key_id, ours.project_id, ours.secret)


@pytest.mark.parametrize("key", ["ma-", "ma-a-b", "sk-123-456-789", "ma-!!-??-hidden", "ma-AAAA-BBBB-hidden"])
def test_a_malformed_key_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(AuthError, match="MESHAGENT_API_KEY") as caught:
        resolve(WISH, settings(api_key=key), None, NOW)
    assert "hidden" not in str(caught.value)
    assert "??" not in str(caught.value)


def test_a_secret_signs_without_a_key_id() -> None:
    found = resolve(WISH, settings(secret=SECRET, api_url="http://h"), None, NOW)
    assert isinstance(found, JoinTarget)
    assert "kid" not in jwt.decode(found.token, SECRET, algorithms=["HS256"])


def test_signing_needs_a_name() -> None:
    with pytest.raises(UsageError, match="--agent-name"):
        resolve(replace(WISH, identity=None), settings(api_key=KEY), None, NOW)


def test_nothing_secret_shows_in_a_representation() -> None:
    found = resolve(WISH, settings(api_key=KEY), None, NOW)
    asked = resolve(WISH, settings(), login(), NOW)
    shown = f"{found!r} {asked!r} {login(api_keys={'p': KEY})!r} {parse_api_key(KEY, 'X')!r}"
    assert "opaque" not in shown
    assert SECRET not in shown
    assert found.token not in shown  # type: ignore[union-attr]


def test_a_saved_login_asks_the_rest_api_in_its_own_place() -> None:
    found = resolve(WISH, settings(), login(), NOW)
    assert isinstance(found, TokenRequest)
    assert (found.api_url, found.project_id, found.room) == ("https://api.example", "p1", "demo")


def test_an_expired_login_is_an_auth_error_and_never_the_local_room() -> None:
    with pytest.raises(AuthError, match="expired"):
        resolve(WISH, settings(), login(expires=NOW - 1), NOW)
    with pytest.raises(AuthError, match="no session"):
        resolve(WISH, settings(), login(access_token=None), NOW)


def test_a_saved_api_key_of_the_project_needs_no_session() -> None:
    found = resolve(WISH, settings(), login(api_keys={"p1": KEY}, access_token=None), NOW)
    assert isinstance(found, JoinTarget)
    assert found.base_url == "https://api.example"


def test_a_login_without_a_project_says_how_to_name_one() -> None:
    with pytest.raises(UsageError, match="MESHAGENT_PROJECT_ID"):
        resolve(WISH, settings(), login(project_id=None), NOW)


# --- the saved file -----------------------------------------------------------------------------


def saved(expires_at: object = "2099-01-01T00:00:00Z") -> dict[str, object]:
    user = {
        "api_url": "https://one.example/",
        "session": {"access_token": "abc", "refresh_token": "r", "expires_at": expires_at},
        "project": {"active_project": "p1", "active_api_keys": {"p1": KEY}},
    }
    other = {"api_url": "https://two.example", "session": {"access_token": "def", "expires_at": 5}}
    return {
        "active_user_id": "u1",
        "active_profiles": {"https://two.example": "u2"},
        "users": {"u1": user, "u2": other},
    }


def write(home: Path, content: str) -> Path:
    path = login_file(home)
    path.parent.mkdir()
    path.write_text(content)
    return path


def test_the_active_user_or_the_one_of_the_named_address(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(saved()))
    active, two = read_login(path, None), read_login(path, "https://two.example")
    one = read_login(path, "https://one.example")
    assert active is not None
    assert active == one
    assert (active.access_token, active.project_id, active.api_keys) == ("abc", "p1", {"p1": KEY})
    assert active.expires is not None
    assert active.expires > NOW
    assert two is not None
    assert (two.access_token, two.expires) == ("def", 5.0)
    assert read_login(path, "https://three.example") is None


def test_no_file_and_nobody_logged_in_are_no_login(tmp_path: Path) -> None:
    assert read_login(login_file(tmp_path), None) is None
    assert read_login(write(tmp_path, '{"users": {}}'), None) is None


@pytest.mark.parametrize("content", ["{", "\ud800", ""])
def test_an_unreadable_file_is_an_error_and_not_the_local_room(tmp_path: Path, content: str) -> None:
    path = login_file(tmp_path)
    path.parent.mkdir()
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(AuthError, match="saved login"):
        read_login(path, None)


def test_an_expiry_nobody_can_read_counts_as_expired(tmp_path: Path) -> None:
    found = read_login(write(tmp_path, json.dumps(saved("soon"))), None)
    assert found is not None
    with pytest.raises(AuthError, match="expired"):
        found.session(NOW)


# --- the REST call ------------------------------------------------------------------------------

REQUEST = TokenRequest("demo", "http://api", "http://api", "p1", "bot", "agent", "opaque")


def answer(monkeypatch: pytest.MonkeyPatch, respond: httpx.MockTransport) -> None:
    plain = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **options: plain(transport=respond, **options))


async def test_the_minted_token_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"token": "minted"})

    answer(monkeypatch, httpx.MockTransport(respond))
    assert await fetch_token(REQUEST) == JoinTarget("demo", "http://api", "minted")
    assert seen[0].url == "http://api/accounts/projects/p1/participant-tokens"
    assert seen[0].headers["authorization"] == "Bearer opaque"
    body = json.loads(seen[0].content)
    assert (body["name"], body["room_name"], body["role"]) == ("bot", "demo", "agent")


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthError), (403, AuthError), (404, RoomError), (500, RoomError)]
)
async def test_refusals_of_the_rest_api(
    monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception]
) -> None:
    answer(monkeypatch, httpx.MockTransport(lambda request: httpx.Response(status, text="no")))
    with pytest.raises(error, match=str(status)) as caught:
        await fetch_token(REQUEST)
    assert "opaque" not in str(caught.value)


async def test_an_api_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    answer(monkeypatch, httpx.MockTransport(fail))
    with pytest.raises(RoomError, match="cannot be reached"):
        await fetch_token(REQUEST)
