"""What the flags about channels come to."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from process_agent import config
from process_agent.agent.channels import ChannelOptions
from process_agent.channels.specs import parse_channels
from process_agent.cli.channel_flags import ChannelFlags, channel_flags, channel_options, websocket_lines
from process_agent.cli.checked import JoinOptions, checked
from process_agent.cli.rule_flags import rules_options
from process_agent.errors import UsageError
from process_agent.rooms.tokens import read_claims
from process_agent.wire import participant_token
from process_agent.wire.participant_token import ParticipantToken

SECRET = "s" * 64


def options(
    folder: Path, *channels: str, flags: ChannelFlags | None = None, local: bool = True, **more: Any
) -> JoinOptions:
    made: dict[str, Any] = {
        "room": "demo",
        "agent_name": "bot",
        "channels": parse_channels(channels),
        "backends": None,
        "models": None,
        "provider": None,
        "working_dir": folder,
        "sandbox": "read-only",
        "approvals": "ask",
        "approval_seconds": 1,
        "network": False,
        "rules": rules_options(None, None, None, None),
        "local": local,
        "data_dir": folder / "data",
        "port": None,
        "project_id": None,
        "join_seconds": 1,
        "threading_mode": "default-new",
        "thread_dir": None,
        "thread_storage": "dataset",
        "json": False,
        "started": 0,
        "channel_flags": flags or ChannelFlags(),
    }
    return checked(**made | more)


def settings(folder: Path, **environ: str) -> config.Settings:
    return config.load({"HOME": str(folder), **environ})


def program(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_channels_of_the_room_need_nothing(tmp_path: Path) -> None:
    found = channel_options(options(tmp_path, "chat", "queue:q"), settings(tmp_path), "bot")
    assert (found.websocket.keys, found.environment) == ((), {})
    assert not (tmp_path / "data").exists()


def test_the_keys_of_the_local_room(tmp_path: Path) -> None:
    found = channel_options(options(tmp_path, "websocket:8765"), settings(tmp_path), "bot")
    (key,) = found.websocket.keys
    assert key == (tmp_path / "data" / "signing-key").read_text()
    both = channel_options(
        options(tmp_path, "websocket:8765"), settings(tmp_path, MESHAGENT_SECRET=SECRET), "bot"
    )
    assert both.websocket.keys == (SECRET, key)
    assert found.room == "demo"


def test_a_hosted_room_needs_a_secret(tmp_path: Path) -> None:
    token = participant_token.encode(ParticipantToken("bot", "demo", "agent", expires=4_000_000_000), SECRET)
    assert read_claims(token) is not None
    hosted = options(tmp_path, "websocket:8765", local=False)
    with pytest.raises(UsageError, match="MESHAGENT_SECRET"):
        channel_options(hosted, settings(tmp_path, MESHAGENT_TOKEN=token), "bot")
    found = channel_options(hosted, settings(tmp_path, MESHAGENT_TOKEN=token, MESHAGENT_SECRET=SECRET), "bot")
    assert found.websocket.keys == (SECRET,)
    assert not (tmp_path / "data" / "signing-key").exists()


def test_what_a_program_gets_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "MESHAGENT_TOKEN": "t",
        "MESHAGENT_SECRET": "s",
        "MESHAGENT_API_KEY": "k",
        "OPENAI_API_KEY": "o",
        "BRIDGE_PASSWORD": "b",
        "OTHER": "x",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    flags = ChannelFlags(env=("BRIDGE_PASSWORD", "NOT_SET"), users=True)
    wanted = options(tmp_path, f"command:{program(tmp_path, 'bridge')}", flags=flags)
    found = channel_options(wanted, settings(tmp_path), "bot")
    assert {name for name in found.environment if name in given} == {"MESHAGENT_TOKEN", "BRIDGE_PASSWORD"}
    assert found.environment["MESHAGENT_ROOM"] == "demo"
    assert found.environment["PATH"] == os.environ["PATH"]
    assert found.program_users
    assert found.folder == Path.cwd()
    assert "BRIDGE_PASSWORD" not in repr(found), "what a program gets is in no log"


def test_what_is_wrong_is_told_before_anything_is_joined(tmp_path: Path) -> None:
    for channel, flags, said in (
        ("command:no-such-program", ChannelFlags(), "'no-such-program' is not there"),
        (f"command:{tmp_path}", ChannelFlags(), "is not there"),
        ("websocket://0.0.0.0:8765", ChannelFlags("none"), "--websocket-open"),
    ):
        with pytest.raises(UsageError, match=said):
            channel_options(options(tmp_path, channel, flags=flags), settings(tmp_path), "bot")


@pytest.mark.parametrize("auth", ["none", "iap"])
def test_commands_with_the_network_cannot_come_in_and_approve_themselves(tmp_path: Path, auth: Any) -> None:
    def found(**more: Any) -> ChannelOptions:
        made = options(tmp_path, "websocket:8765", flags=ChannelFlags(auth), **{"network": True, **more})
        return channel_options(made, settings(tmp_path), "bot")

    with pytest.raises(UsageError, match="approve themselves"):
        found()
    assert found(network=False).websocket.auth == auth
    assert found(approvals="deny").websocket.auth == auth
    assert found(sandbox="full-access").websocket.auth == auth


def test_flags_of_channels_that_are_not_there_are_refused(tmp_path: Path) -> None:
    for flags, said in (
        (ChannelFlags("none"), "--websocket-auth"),
        (ChannelFlags(websocket_origins=("https://a.example",)), "--websocket-origin"),
        (ChannelFlags(websocket_open=True), "--websocket-open"),
        (ChannelFlags(env=("A",)), "--channel-env"),
        (ChannelFlags(users=True), "--channel-users"),
    ):
        with pytest.raises(UsageError, match=f"{said} has no effect without"):
            channel_options(options(tmp_path, "chat", flags=flags), settings(tmp_path), "bot")


def test_a_web_server_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.agent.channels.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"process-agent\[local\]"):
        channel_options(options(tmp_path, "websocket:8765"), settings(tmp_path), "bot")


def flagged(**more: Any) -> ChannelFlags:
    made: dict[str, Any] = {
        "auth": "jwt", "origins": None, "websocket_open": False, "env": None, "users": False
    } | more  # fmt: skip
    return channel_flags(**made)


def test_flags_that_cannot_be() -> None:
    assert flagged() == ChannelFlags()
    assert flagged(origins=["https://a.example:8443"]).websocket_origins == ("https://a.example:8443",)
    for wrong, said in (
        ({"auth": "basic"}, "--websocket-auth cannot be 'basic'"),
        ({"origins": ["studio.example"]}, "is not a site"),
        ({"origins": ["https://a.example/path"]}, "is not a site"),
        ({"env": ["NAME=value"]}, "not the name of a variable"),
        ({"env": [""]}, "not the name of a variable"),
    ):
        with pytest.raises(UsageError, match=said):
            flagged(**wrong)


def test_the_summary_tells_who_can_come_in(tmp_path: Path) -> None:
    told = websocket_lines(options(tmp_path, "chat", "websocket:1", flags=ChannelFlags("none")))
    assert told == [
        ("websocket", "ws://127.0.0.1:1/messages, without a token: for everybody on this machine")
    ]
