"""Records of local services, by themselves."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.discovery import ChatProfile
from process_agent.errors import UsageError, WireError
from process_agent.services.local import (
    LocalService,
    Record,
    Revision,
    checked,
    local_document,
    only_switched,
    read_record,
    shown_in_the_room,
    write_record,
)

SERVICE = LocalService(
    "desk",
    "bot",
    "/work",
    ("--agent-name", "bot"),
    ("PATH", "OPENAI_API_KEY"),
    ChatProfile("bot", "dataset://x"),
)


def record(**changes: Any) -> Record:
    return Record("id", "demo", Revision(1, local_document(replace(SERVICE, **changes))))


def test_what_a_record_says() -> None:
    made = record()
    assert (made.name, made.agent_name, made.folder, made.enabled) == ("desk", "bot", "/work", True)
    assert made.flags == ["--agent-name", "bot"]
    assert "OPENAI_API_KEY" in json.dumps(write_record(made))
    assert not made.switched(False).enabled


@given(st.lists(st.text(min_size=1, max_size=20), max_size=6))
def test_flags_and_records_come_back_as_they_were(flags: list[str]) -> None:
    made = record(flags=flags)
    assert made.flags == flags
    again = read_record(json.loads(json.dumps(write_record(made))))
    assert again == made


def test_an_update_keeps_the_one_before_and_whether_it_is_enabled() -> None:
    stopped = record().switched(False)
    second = stopped.updated(local_document(replace(SERVICE, flags=("--agent-name", "bot", "--network"))))
    assert (second.current.number, second.enabled, second.flags[-1]) == (2, False, "--network")
    back = second.switched(True).rolled_back()
    assert (back.current.number, back.enabled, back.flags) == (1, True, ["--agent-name", "bot"])
    forth = back.rolled_back()
    assert (forth.current.number, forth.flags[-1]) == (2, "--network")
    third = back.updated(local_document(SERVICE))
    assert third.current.number == 3, "numbers are given once: environments go by them"
    with pytest.raises(WireError, match="once only"):
        record().rolled_back()


def document(**container: Any) -> dict[str, Any]:
    made: dict[str, Any] = local_document(SERVICE)
    return {**made, "container": {**made["container"], **container}}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"kind": "Service"},
        document(image="example.com/x:1"),
        document(command="sh -c evil"),
        document(command="process joinery"),
        document(command="process run"),
        document(command='process join "'),
        document(command=None),
        document(working_dir=None),
        {**document(), "agents": []},
        {**document(), "agents": [{"name": "a"}, {"name": "b"}]},
        {**document(), "metadata": {}},
    ],
)
def test_only_agents_of_this_program_are_taken(wrong: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        checked(wrong)
    with pytest.raises(WireError):
        read_record({"version": 1, "id": "x", "room": "r", "current": {"number": 1, "document": wrong}})


@pytest.mark.parametrize(
    "wrong",
    [None, [], {}, {"version": 2}, {"version": 1, "id": 1, "room": "r"},
     {"version": 1, "id": "x", "room": "r", "current": {"number": True, "document": document()}},
     {"version": 1, "id": "x", "room": "r", "current": {"number": 0, "document": document()}},
     {"version": 1, "id": None, "room": "r", "current": {"number": 1, "document": document()}}],
)  # fmt: skip
def test_damaged_records_are_refused(wrong: object) -> None:
    with pytest.raises(WireError):
        read_record(wrong)


def test_what_a_client_may_send_back() -> None:
    ours: dict[str, Any] = local_document(SERVICE)
    container = ours["container"]
    filled = {**ours, "id": "1", "enabled": False, "files": None, "container": {**container, "storage": {}}}
    assert only_switched(filled, ours)
    for changed in (
        {**filled, "files": [{"path": "/x", "text": "y"}]},
        {**filled, "container": {**container, "environment": [{"name": "PATH", "value": "/evil"}]}},
        {**filled, "container": {**container, "command": "process join --sandbox full-access"}},
        {**filled, "ports": [{"num": 80}]},
        {key: value for key, value in filled.items() if key != "agents"},
    ):
        assert not only_switched(changed, ours)


def test_the_room_sees_neither_command_nor_folder() -> None:
    shown = json.dumps(shown_in_the_room(record(flags=("--rule", "a secret plan"))))
    assert "secret plan" not in shown
    assert "/work" not in shown
    assert "OPENAI_API_KEY" not in shown


def test_the_published_model_reads_the_document() -> None:
    from meshagent.api.specs.service import ServiceSpec

    for made in (local_document(SERVICE), shown_in_the_room(record())):
        spec: Any = ServiceSpec.model_validate(made)
        assert (spec.metadata.name, spec.agents[0].name, spec.enabled) == ("desk", "bot", True)
    ours: Any = ServiceSpec.model_validate(local_document(SERVICE))
    assert shlex.split(ours.container.command)[:2] == ["process", "join"]


def test_a_name_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="cannot be a service's name"):
        local_document(replace(SERVICE, name=" "))
