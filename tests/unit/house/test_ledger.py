"""The conformance ledger, `docs/compatibility.md`, says what is so."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant
from process_agent.errors import WireError
from process_agent.wire.agent_messages import PREFIX, decode_event, decode_reply, decode_request
from process_agent.wire.agent_messages.injected import INJECT
from tests.fakes.agent_message_samples import NOW

ROOT = Path(__file__).parents[3]
LEDGER = ROOT / "docs" / "compatibility.md"
WIRE = ROOT / "process_agent" / "wire" / "agent_messages"
SECTIONS = "TDMSCKXHRL"

ROW = re.compile(rf"^\| ([{SECTIONS}]-\d\d) \|(.*)\|(.*)\|(.*)\|$")
TYPE = re.compile(r"^\| `([a-z_.]+)` \| (.+?) \| (.+?) \|(.*)\|$")
TEST = re.compile(r"`([a-z_/]+)::([A-Za-z_0-9]+)`")

_ALL = """
thread.start turn.start turn.steer turn.interrupt thread.open thread.close thread.clear thread.delete
thread.rename thread.list thread.watch thread.unwatch models.request model.change capabilities_request
tool_call.approve tool_call.reject client_tool_call.response secret.response messages.inject
realtime_audio.chunk realtime_audio.commit participant.connect participant.disconnect
thread.started thread.start.rejected thread.loaded thread.listed thread.created thread.updated thread.deleted
thread.cleared turn.start.accepted turn.start.rejected turn.started turn.steer.accepted turn.steered
turn.steer.rejected turn.interrupt.accepted turn.interrupted turn.ended thread.status connection.status
model.changed models.response capabilities_response usage.updated context.compacted thread.event
text_content.started text_content.delta text_content.ended reasoning_content.started reasoning_content.delta
reasoning_content.ended file_content.started file_content.delta file_content.ended tool_call.pending
tool_call.in_progress tool_call.started tool_call.arguments_delta tool_call.log_delta tool_call.ended
tool_call.approval_requested client_tool_call.requested client_tool_call.cancelled secret.requested
image_generation.started image_generation.partial image_generation.completed image_generation.failed
audio_generation.started audio_generation.delta audio_generation.completed audio_generation.failed
audio_transcription.started audio_transcription.delta audio_transcription.completed
audio_transcription.failed audio_input.speech_started audio_input.speech_ended
"""
TYPES = tuple(_ALL.split())
"""Every type of section 3 of the agent protocol."""


@dataclass(frozen=True)
class Row:
    id: str
    says: str
    tests: tuple[tuple[str, str], ...]
    why: str


def lines() -> list[str]:
    return LEDGER.read_text("utf-8").splitlines()


@cache
def rows() -> tuple[Row, ...]:
    found = (ROW.match(line) for line in lines())
    return tuple(
        Row(match[1], match[2].strip(), tuple(TEST.findall(match[3])), match[4].strip())
        for match in found
        if match is not None
    )


def test_every_row_is_read() -> None:
    written = [line for line in lines() if re.match(rf"^\| [{SECTIONS}]-", line)]
    assert len(rows()) == len(written) > 100
    assert {row.id[0] for row in rows()} == set(SECTIONS)


def test_no_id_is_there_twice() -> None:
    assert [id_ for id_, count in Counter(row.id for row in rows()).items() if count > 1] == []


def test_every_row_says_what_we_do_and_shows_it_or_says_why_not() -> None:
    assert [row.id for row in rows() if not row.says] == []
    assert [row.id for row in rows() if not row.tests and not row.why] == []


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names a test can have: functions, and classes made or assigned."""
    names: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(name for name in names if name.lower().startswith("test"))


def test_every_test_named_here_exists() -> None:
    missing = []
    for row in rows():
        for place, name in row.tests:
            path = ROOT / "tests" / f"{place}.py"
            if not path.is_file() or name not in names_in(path):
                missing.append(f"{row.id}: {place}::{name}")
    assert missing == []


def test_every_test_column_holds_tests_only() -> None:
    """A test that is written in another way would not be looked for."""
    odd = []
    for line in lines():
        match = ROW.match(line)
        if match is not None and TEST.sub("", match[3]).strip():
            odd.append(match[1])
    assert odd == []


# --- Message types -----------------------------------------------------------------------------


def listed() -> dict[str, tuple[str, str, str]]:
    found = [match for line in lines() if (match := TYPE.match(line)) is not None]
    assert len({match[1] for match in found}) == len(found), "a type is listed twice"
    return {match[1]: (match[2], match[3], match[4].strip()) for match in found}


def texts_of(path: Path, functions: str) -> Iterator[str]:
    """The texts in the functions of a module whose names begin like this, and in its tables."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith(functions):
            continue
        if isinstance(node, ast.FunctionDef | ast.Assign | ast.AnnAssign):
            if not isinstance(node, ast.FunctionDef) and "DECODERS" in ast.unparse(node):
                continue
            yield from (
                part.value
                for part in ast.walk(node)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )


def encoded(*modules: str) -> frozenset[str]:
    return frozenset(text for name in modules for text in texts_of(WIRE / f"{name}.py", "_encode"))


SENT = encoded("encode_events", "encode_items", "replies") & frozenset(TYPES)
ASKED = encoded("encode_requests") & frozenset(TYPES)


def what_the_agent_does(kind: str) -> str:
    body: dict[str, Json] = {"type": PREFIX + kind}
    does = []
    try:
        sender = Participant(ParticipantId("p"), "user", {"name": "ana"})
        known = decode_request(body, channel="chat", sender=sender, new_id=lambda: "m") is not None
        does += ["serves"] if known or body["type"] == INJECT else []
    except WireError as error:
        does.append("refuses" if error.refusal == "unsupported_modality" else "serves")
    if kind in SENT:
        does.append("sends")
    return ", ".join(does) or "–"


def what_a_client_of_ours_does(kind: str) -> str:
    refused: Json = {"type": "model_change_rejected"}
    body: dict[str, Json] = {"type": PREFIX + kind, "message_id": "m", "thread_id": "t", "event": refused}
    does = ["sends"] if kind in ASKED else []
    try:
        known = decode_event(body, NOW) is not None or decode_reply(body) is not None
        does += ["reads"] if known else []
    except WireError:
        does.append("reads")
    return ", ".join(does) or "–"


def test_the_list_has_every_type() -> None:
    assert sorted(listed()) == sorted(TYPES)


@pytest.mark.parametrize("kind", TYPES)
def test_the_codecs_do_what_the_list_says(kind: str) -> None:
    agent, client, why = listed()[kind]
    assert (agent, client) == (what_the_agent_does(kind), what_a_client_of_ours_does(kind))
    assert why or (agent, client) != ("–", "–")
