"""Keys, codes, sessions, Host and Origin."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from process_agent.errors import AuthError, UsageError
from process_agent.room_server import access
from process_agent.room_server.access import CODE_SECONDS, MAX_CODES, SESSION_SECONDS, Codes, Identity
from process_agent.room_server.grants import matches, require
from process_agent.room_server.keys import signing_key
from process_agent.room_server.toolkit import Caller, ToolError
from process_agent.wire import participant_token

KEY = "k" * 64
ALICE = Identity("demo", "alice")


def test_a_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "data" / "signing-key"
    keys: list[str] = []
    threads = [threading.Thread(target=lambda: keys.append(signing_key(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert len(keys[0]) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["signing-key"]
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_open_or_damaged_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing-key"
    signing_key(path)
    path.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        signing_key(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(UsageError, match="damaged"):
        signing_key(path)


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(UsageError, match="--data-dir"):
        signing_key(tmp_path / "data" / "signing-key")


def test_a_code_is_good_once_and_for_an_hour() -> None:
    codes = Codes()
    code, late = codes.issue(ALICE, 0.0), codes.issue(ALICE, 0.0)
    assert codes.redeem(code, CODE_SECONDS - 1) == ALICE
    for wrong in (code, "nonsense", ""):
        with pytest.raises(AuthError):
            codes.redeem(wrong, 1.0)
    with pytest.raises(AuthError):
        codes.redeem(late, CODE_SECONDS)


def test_the_oldest_code_makes_place() -> None:
    codes = Codes()
    issued = [codes.issue(ALICE, 0.0) for _ in range(MAX_CODES + 1)]
    with pytest.raises(AuthError):
        codes.redeem(issued[0], 1.0)
    assert codes.redeem(issued[1], 1.0) == ALICE


def test_a_session_outlives_the_server_and_expires() -> None:
    cookie = access.session_cookie(ALICE, KEY, 0.0)
    assert access.session(cookie, KEY, SESSION_SECONDS - 1) == ALICE
    for wrong, key, now in (
        (cookie, KEY, SESSION_SECONDS),
        (cookie, "x" * 64, 0.0),
        (cookie[:-2], KEY, 0.0),
        (None, KEY, 0.0),
        (_token(), KEY, 0.0),
    ):
        with pytest.raises(AuthError):
            access.session(wrong, key, now)


def test_a_session_is_no_token() -> None:
    with pytest.raises(AuthError):
        access.participant(f"Bearer {access.session_cookie(ALICE, KEY, 0.0)}", KEY, "demo", 0.0)


def _token(api: dict[str, object] | None = None) -> str:
    token = participant_token.ParticipantToken("alice", "demo", api=api)
    return participant_token.encode(token, KEY)


def test_administrators() -> None:
    full = _token(dict(participant_token.admin_api()))
    assert access.administrator(f"Bearer {full}", KEY, 0.0).name == "alice"
    assert access.administrator(f"bearer ma-{'a' * 22}-{'b' * 22}-{KEY}", KEY, 0.0).name == "api-key"
    for wrong in (
        None,
        "",
        full,
        f"Basic {full}",
        "Bearer ",
        f"Bearer {_token()}",
        f"Bearer {_token({'messaging': {}})}",
        f"Bearer ma-a-b-{KEY[:-1]}",
        "Bearer ma-a-b",
        "Bearer ma-a-b-ü",
    ):
        with pytest.raises(AuthError):
            access.administrator(wrong, KEY, 0.0)


@pytest.mark.parametrize(
    ("host", "bound_to", "good"),
    [
        ("127.0.0.1:8722", "127.0.0.1", True),
        ("localhost:8722", "127.0.0.1", True),
        ("LOCALHOST", "127.0.0.1", True),
        ("[::1]:8722", "127.0.0.1", True),
        ("evil.example:8722", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("localhost.", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        (None, "127.0.0.1", False),
        ("box.lan:80", "box.lan", True),
        ("192.168.1.2:80", "192.168.1.2", True),
        ("evil.example", "192.168.1.2", False),
        ("[fe80::1]:80", "fe80::1", True),
        ("[::1].evil.example:80", "127.0.0.1", False),
        ("[::1]evil.example", "127.0.0.1", False),
        ("anything.example", "0.0.0.0", True),
        ("anything.example", "::", True),
    ],
)
def test_hosts(host: str | None, bound_to: str, good: bool) -> None:
    if good:
        access.check_host(host, bound_to)
    else:
        with pytest.raises(AuthError):
            access.check_host(host, bound_to)


@pytest.mark.parametrize(
    ("origin", "required", "good"),
    [
        ("http://127.0.0.1:8722", True, True),
        ("https://127.0.0.1:8722", True, True),
        (None, False, True),
        (None, True, False),
        ("null", False, False),
        ("http://127.0.0.1:9999", False, False),
        ("http://127.0.0.1", True, False),
        ("http://127.0.0.1:8722.evil.example", True, False),
        ("", True, False),
    ],
)
def test_origins(origin: str | None, required: bool, good: bool) -> None:
    if good:
        access.check_origin(origin, "127.0.0.1:8722", required=required)
    else:
        with pytest.raises(AuthError):
            access.check_origin(origin, "127.0.0.1:8722", required=required)


@pytest.mark.parametrize(
    ("patterns", "value", "good"),
    [
        (None, "x", True),
        ([], "x", False),
        (["x"], "x", True),
        (["x"], "xy", False),
        (["x*"], "xy", True),
        (["*"], "", True),
        ([5, None, "x"], "x", True),
        ("x", "x", False),
        ({}, "x", False),
    ],
)
def test_grant_lists(patterns: object, value: str, good: bool) -> None:
    assert matches(patterns, value) is good


def test_scopes_and_switches() -> None:
    caller = Caller("1", "a", "user", "demo", {"messaging": {"send": False}, "odd": True})
    require(caller, "messaging")
    require(caller, "messaging", "broadcast")
    for scope, switch in (("messaging", "send"), ("storage", None), ("odd", None)):
        with pytest.raises(ToolError):
            require(caller, scope, switch)
