"""Every turn of every recorded conversation, beside what a person who read the recording expects to see.

`tests/data/codex-turns.txt` is kept by hand and was read against the recordings: for each conversation its
turns, for each turn a line for everything a viewer sees, in order, and how it ended. Nothing writes that
file. Commands, outputs, exit codes and messages in it are compared with the recordings once more, below,
without the code that makes events of them.

    $ COMMAND          a command, in its folder if that is not the conversation's
    | OUTPUT           a line of its output, of a patch, of a diff or of a message
    = 0                its exit status; `= ?` when it is not known; `= CODE: MESSAGE` when it was not run
    TOOLKIT.TOOL JSON  any other tool call; `=` its result
    ask TOOL: REASON   a request for approval
    says, thinks       a message, a thought
    used IN/CACHED/OUT of CONTEXT/WINDOW
    completed, interrupted, failed CODE: MESSAGE, lost
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from process_agent.core.content import JsonResult, TextResult
from process_agent.core.events import (
    ApprovalRequested,
    ContextCompacted,
    ReasoningDelta,
    ReasoningStarted,
    TextDelta,
    TextStarted,
    ToolEnded,
    ToolLog,
    ToolStarted,
    TurnEnded,
    UsageUpdated,
)
from tests.unit.codex.replay import NAMES, Turn, messages, replay

FILE = Path(__file__).parents[2] / "data" / "codex-turns.txt"


def expected() -> dict[str, list[str]]:
    """Lines of each conversation; a turn begins with `--`."""
    found: dict[str, list[str]] = {}
    for line in FILE.read_text().splitlines():
        if line.startswith("== "):
            lines = found[line[3:]] = []
        elif line:
            lines.append(line)
    return found


EXPECTED = expected()


def quoted(text: str) -> list[str]:
    lines = text.split("\n")
    ended = lines[-1] == ""
    return [f"| {line}".rstrip() for line in (lines[:-1] if ended else lines)] + (
        [] if ended or not text else ["\\"]
    )


def said(kind: str, text: str) -> list[str]:
    return [f"{kind} {text}".rstrip()] if "\n" not in text else [kind, *quoted(text)]


def result(ended: ToolEnded) -> list[str]:
    if ended.error is not None:
        return [f"= {ended.error.code}: {ended.error.message}"]
    match ended.result:
        case JsonResult(json=dict() as members) if "stdout" in members:
            code = members["exit_code"]
            return [*quoted(str(members["stdout"])), f"= {'?' if code is None else code}"]
        case JsonResult(json=value):
            return [f"= {json.dumps(value)}"]
        case TextResult(text=text):
            return said("=", text)
    return []


def call(start: ToolStarted, ended: ToolEnded, folder: str) -> list[str]:
    tool, arguments = start.ref.tool, dict(start.arguments)
    if tool == "shell":
        place = "" if arguments["cwd"] == folder else f" (in {arguments['cwd']})"
        return [f"$ {arguments['command']}{place}", *result(ended)]
    body: list[str] = []
    for name in ("patch", "diff"):
        if name in arguments:
            body += quoted(str(arguments.pop(name)))
    arguments.pop("changes", None)
    if set(arguments) == {"message"}:
        return [f"{start.ref.toolkit}.{tool} {arguments['message']}"]
    shown = f" {json.dumps(arguments)}" if arguments else ""
    return [f"{start.ref.toolkit}.{tool}{shown}", *body, *result(ended)]


def lines_of(turn: Turn) -> list[str]:
    folder = turn.running.frame.folder
    texts: dict[str, list[str]] = {}
    last = {e.ref.item_id: e for e in turn.events if isinstance(e, ToolStarted)}
    ends = {e.ref.item_id: e for e in turn.events if isinstance(e, ToolEnded)}
    found: list[Any] = ["--"]
    usage: UsageUpdated | None = None
    for event in turn.events:
        match event:
            case TextStarted() | ReasoningStarted():
                kind = "says" if isinstance(event, TextStarted) else "thinks"
                texts[event.item_id] = []
                found.append((kind, texts[event.item_id]))
            case TextDelta() | ReasoningDelta():
                texts[event.item_id].append(event.text)
            case ToolStarted() if start := last.pop(event.ref.item_id, None):
                found += call(start, ends[event.ref.item_id], folder)
            case ApprovalRequested():
                found.append(f"ask {event.ref.tool}: {event.reason or '-'}")
            case ContextCompacted():
                found.append("compacted, by itself" if event.automatic else "compacted")
            case UsageUpdated():
                usage = event
            case TurnEnded(reason, error):
                found += _used(usage)
                found.append(
                    reason.value if error is None else f"{reason.value} {error.code}: {error.message}"
                )
            case _:
                pass
    return [
        line
        for entry in found
        for line in ([entry] if isinstance(entry, str) else said(entry[0], "".join(entry[1])))
    ]


def _used(usage: UsageUpdated | None) -> list[str]:
    if usage is None:
        return []
    used, context = usage.usage, usage.context
    room = f" of {context.used}/{context.total}" if context else ""
    return [f"used {used.input}/{used.cached}/{used.output}{room}"]


def recorded(name: str) -> list[str]:
    """What the items of a recording say: lines that have to be in its expectation, in any order."""
    found: list[str] = []
    ended: set[str] = set()
    for direction, message in messages(name):
        params = message.get("params") or {}
        if message.get("method") == "turn/completed":
            ended.add(params["turn"]["id"])
            if params["turn"]["status"] != "failed":
                found.append(params["turn"]["status"])
        if direction != "server->client" or message.get("method") != "item/completed":
            continue
        item = params["item"]
        if params["turnId"] in ended:
            continue  # a command that went on in the background
        if item["type"] == "agentMessage":
            found += said("says", item["text"])
        elif item["type"] == "commandExecution" and item["status"] != "declined":
            command = item["command"].removeprefix("/bin/bash -lc ").removeprefix("/bin/bash -c ")
            found.append(f"$ {shlex.split(command)[0] if command[:1] in '\'"' else command}")
            found += quoted(item["aggregatedOutput"] or "")
            found += [f"= {item['exitCode']}"] if item["exitCode"] is not None else []
        elif item["type"] == "fileChange" and item["status"] == "completed":
            files = (change["path"].rpartition("/")[2] for change in item["changes"])
            found.append(f"= Changed {', '.join(files)}.")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_expectation_is_what_was_recorded(name: str) -> None:
    left = list(EXPECTED[name])
    for line in recorded(name):
        assert line in left
        left.remove(line)


def test_every_conversation_has_its_expectation() -> None:
    assert set(EXPECTED) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_viewer_sees(name: str) -> None:
    assert [line for turn in replay(name) for line in lines_of(turn)] == EXPECTED[name]


def printed(name: str) -> dict[tuple[str, str], str]:
    """Output of commands as it came, by turn and item, until the turn ended."""
    found: dict[tuple[str, str], str] = {}
    ended: set[str] = set()
    for direction, message in messages(name):
        params, method = message.get("params") or {}, message.get("method")
        if method == "turn/completed":
            ended.add(params["turn"]["id"])
        if direction == "server->client" and method == "item/commandExecution/outputDelta":
            key = (params["turnId"], params["itemId"])
            if params["turnId"] not in ended:
                found[key] = found.get(key, "") + params["delta"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_output_is_shown_as_it_came_and_durations_are_those_of_the_recording(name: str) -> None:
    shown: dict[tuple[str, str], str] = {}
    for turn in replay(name):
        prefix = f"{turn.running.frame.turn_id}:"
        for event in turn.events:
            if isinstance(event, ToolLog) and event.ref.tool == "shell":
                key = (turn.turn_id, event.ref.item_id.removeprefix(prefix))
                shown[key] = shown.get(key, "") + "".join(line.text for line in event.lines)
            elif isinstance(event, ToolEnded) and isinstance(event.result, JsonResult):
                item = turn.completed.get(event.ref.item_id.removeprefix(prefix), {})
                if item.get("type") == "commandExecution" and isinstance(event.result.json, dict):
                    assert event.result.json["duration_ms"] == item["durationMs"]
    assert shown == printed(name)
