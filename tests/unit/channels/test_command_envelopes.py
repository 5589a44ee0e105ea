"""Envelopes between agent and channel program."""

from __future__ import annotations

from typing import Any

import pytest

from process_agent.channels.command.channel import channel_name
from process_agent.channels.command.envelopes import envelope, is_capability, read_envelope
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant, named, of_channel
from process_agent.errors import WireError

ANA = Participant(ParticipantId("a"), "agent", {"name": "Ana"}, of_channel("x", "Ana"))


def test_only_the_capability_proves_anything() -> None:
    assert is_capability({"capability": "secret"}, "secret")
    for value in (
        {},
        {"capability": None},
        {"capability": b"secret"},
        {"capability": "Secret"},
        {"capability": ""},
    ):
        assert not is_capability(value, "secret")
    assert not is_capability({"capability": "\ud800é"}, "secret")


def test_a_message_with_its_sender() -> None:
    sender = {"id": "a", "attributes": {"name": "Ana"}}
    inbound = read_envelope(
        {"data": {"type": "x", "n": None}, "sender": sender, "more": 1}, channel="x", users=False
    )
    assert (inbound.message, inbound.sender, inbound.to) == ({"type": "x", "n": None}, ANA, None)
    assert read_envelope({"data": {}}, channel="x", users=False).sender is None
    assert read_envelope({"data": {}, "to_participant_id": "b"}, channel="x", users=False).to == "b"


@pytest.mark.parametrize(
    ("attributes", "users", "role"),
    [
        ({"role": "user"}, False, "agent"),
        ({}, False, "agent"),
        ({"role": "user"}, True, "user"),
        ({}, True, "user"),
        (None, True, "user"),
        ({"role": "tool"}, True, "tool"),
        ({"role": "admin"}, True, "agent"),
        ({"role": None}, True, "agent"),
        ({"role": ["user"]}, True, "agent"),
    ],
)
def test_who_a_sender_is(attributes: Any, users: bool, role: str) -> None:
    inbound = read_envelope(
        {"data": {}, "sender": {"id": "a", "attributes": attributes}}, channel="x", users=users
    )
    assert inbound.sender is not None
    assert inbound.sender.role == role


def test_threads_of_a_sender_are_its_names_only_where_the_operator_vouches_for_it() -> None:
    value = {"data": {}, "sender": {"id": "a", "attributes": {"name": "Ana"}}}
    owners = [read_envelope(value, channel="command:irc", users=users) for users in (True, False)]
    assert [x.sender and x.sender.owner for x in owners] == [named("Ana"), "channel:command:irc Ana"]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"data": None},
        {"data": [1]},
        {"data": {1: 2}},
        {"data": {"a": b"x"}},
        {"data": {}, "sender": 1},
        {"data": {}, "sender": {}},
        {"data": {}, "sender": {"id": ""}},
        {"data": {}, "sender": {"id": 7}},
        {"data": {}, "sender": {"id": "x" * 1_001}},
        {"data": {}, "sender": {"id": "a", "attributes": []}},
        {"data": {}, "sender": {"id": "a", "attributes": {"x": b"y"}}},
        {"data": {}, "to_participant_id": 1},
    ],
)
def test_useless_envelopes(value: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        read_envelope(value, channel="x", users=True)


def test_what_is_for_one_and_what_is_for_all() -> None:
    prefix = "meshagent.agent."
    event = {"type": f"{prefix}turn.started"}
    who = {"id": "a", "attributes": {"name": "Ana"}}
    assert envelope(event, None) == {"data": event}
    assert envelope(event, ANA) == {"data": event, "sender": who, "to_participant_id": "a"}
    for kind in ("thread.started", "turn.start.rejected", "turn.steer.rejected", "thread.start.rejected"):
        answer = {"type": prefix + kind}
        assert envelope(answer, ANA) == {"data": answer, "sender": who}


def test_names_of_channels_tell_programs_apart_and_no_secrets() -> None:
    assert channel_name(["bridge"]) == "command:bridge"
    one, two = (
        channel_name(["/bin/bridge", "--token", "s3cret"]),
        channel_name(["/bin/bridge", "--token", "x"]),
    )
    assert one != two
    assert one.startswith("command:bridge~")
    assert "s3cret" not in one
    assert channel_name(["/usr/bin/bridge"]) != channel_name(["/bin/bridge"])
