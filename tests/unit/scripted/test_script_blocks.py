"""Scripts for the scripted model: blocks, tools by name, thoughts, compactions, titles, images, faults."""

from __future__ import annotations

import msgspec
import pytest

from process_agent.scripted.actions import HttpFault, RawEvents, Say, Sleep, StreamFault, Tokens, ToolCall
from tests.fakes.scripted_client import (
    ScriptedClient,
    called,
    exec_output,
    said,
    thought,
)
from tests.unit.scripted.test_script import arguments


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [("fail", "failed"), ("disconnect", "disconnect"), ("hang", "silence"), ("stop short", "incomplete")],
)
def test_stream_faults(prompt: str, kind: str) -> None:
    last = ScriptedClient().turn(prompt)[-1]
    assert isinstance(last, StreamFault)
    assert last.kind == kind


def test_http_faults() -> None:
    (fault, _) = ScriptedClient().turn("error 503 twice")
    assert fault == HttpFault(
        503, "server_error", "The scripted model was asked to refuse with 503.", times=2
    )


def test_compaction_summarises() -> None:
    client = ScriptedClient()
    client.turn("say hello")
    text = said(client.turn("You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary"))
    assert "- say hello" in text


def test_a_script_says_what_a_compaction_and_a_title_are() -> None:
    script = [{"title": "Fix it"}, {"when_compacted": [{"sleep_ms": 5}, {"say": "short"}]}, {"say": "done"}]
    client = ScriptedClient()
    assert client.turn(block(script)) == [Say("done")]
    asked = "You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary"
    assert client.turn(asked) == [Sleep(5), Say("short")]
    ask = "Name this conversation, which begins with:\n\n"
    assert said(ScriptedClient().turn(ask + block(script))) == "Fix it"
    assert (
        said(ScriptedClient().turn(ask + "one two three four five six seven"))
        == "one two three four five six"
    )


def test_images_and_lengths_of_a_script() -> None:
    image, tokens = ScriptedClient().turn(block([{"image": "iVBOR", "prompt": "a cat"}, {"tokens": 9}]))
    assert isinstance(image, RawEvents)
    item = image.events[1]["item"]
    assert isinstance(item, dict)
    assert (item["type"], item["result"], item["revised_prompt"]) == (
        "image_generation_call",
        "iVBOR",
        "a cat",
    )
    assert tokens == Tokens(9)


def test_calling_any_tool() -> None:
    lookup = {
        "type": "namespace",
        "name": "storage",
        "tools": [{"type": "function", "name": "list_files", "parameters": {}}],
    }
    client = ScriptedClient(tool=lambda call: "a.txt", tools=[lookup])
    actions = client.turn('call storage.list_files with {"path": "x"}')
    assert called(actions) == [ToolCall("function", "list_files", '{"path":"x"}', "storage")]
    assert "a.txt" in said(actions)
    assert "On offer: list_files" in said(client.turn("use nothing"))
    assert "not JSON" in said(client.turn("call list_files {nope}"))


def test_thinking() -> None:
    actions = ScriptedClient().turn("think about fish")
    assert "fish" in thought(actions)[0]
    assert "fish" in said(actions)


@pytest.mark.parametrize(
    "prompt",
    [
        "run " + " " * 50_000 + "x",
        "create " + "a." * 50_000 + "!",
        "replace " + "`" * 50_000,
        "<" * 50_000 + ">",
    ],
)
@pytest.mark.timeout(5)
def test_a_hostile_prompt_costs_no_more_than_others(prompt: str) -> None:
    assert ScriptedClient().turn(prompt)


def block(script: object) -> str:
    return f"Please do this:\n```script\n{msgspec.json.encode(script).decode()}\n```\n"


def test_a_script_block_does_everything() -> None:
    client = ScriptedClient(tool=lambda call: exec_output(f"{call.name}\n"))
    actions = client.turn(
        block(
            [
                {"think": "hm"},
                {"say": "first", "phase": "commentary", "pieces": ["fir", "st"], "every_ms": 5},
                {"sleep_ms": 10},
                {"run": "ls", "workdir": "/w", "escalate": "why not"},
                {"patch": "*** Begin Patch\n*** End Patch\n"},
                {"write": "a.txt", "content": "x"},
                {"plan": ["one", {"step": "two", "status": "completed"}], "explanation": "because"},
                {"call": "update_plan", "arguments": {"plan": []}},
                {"together": [{"run": "a"}, {"call": "other", "arguments": "free", "custom": True}]},
                {"report": True},
                {"raw_events": [{"type": "response.odd"}]},
                {"say": "x", "times": 3},
                {"fault": "failed", "code": "c", "message": "m"},
            ]
        )
    )
    names = [call.name for call in called(actions)]
    assert names == [
        "exec_command",
        "apply_patch",
        "apply_patch",
        "update_plan",
        "update_plan",
        "exec_command",
        "other",
    ]
    run = arguments(called(actions)[0])
    assert (run["workdir"], run["justification"]) == ("/w", "why not")
    texts = [(a.text, a.pieces) for a in actions if isinstance(a, Say)]
    assert texts[0] == ("first", ("fir", "st"))
    assert (
        texts[1][0] == "exec_command\n\napply_patch\n\napply_patch\n\nupdate_plan\n\nexec_command\n\nother\n"
    )
    assert texts[2] == ("xxx", ("x", "x", "x"))
    assert Sleep(10) in actions
    assert RawEvents(({"type": "response.odd"},)) in actions
    assert actions[-1] == StreamFault("failed", "c", "m")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("[", "truncated"),
        ({}, "Expected `array`"),
        ([{}], "action 1 asks for nothing"),
        ([{"say": "a"}, {"say": "b", "think": "c"}], "action 2 asks for say and think"),
        ([{"shout": "a"}], "unknown field `shout`"),
        ([{"fault": 200}], "no error"),
        ([{"fault": "boom"}], "boom"),
        ([{"sleep_ms": 1e9}], "pauses"),
        ([{"say": "a", "times": 10**9}], "times"),
        ([{"plan": [{"step": "a", "status": "odd"}]}], "odd"),
        ([{"together": [{"say": "a"}]}], "only run, patch and call"),
        ([{"when_compacted": [{"run": "a"}]}], "only say, think, sleep_ms and fault"),
        ([{"tokens": -1}], "tokens"),
        ([{"say": "a"}] * 10_001, "more than"),
    ],
)
def test_a_script_that_cannot_be_read_is_refused_with_the_reason(script: object, reason: str) -> None:
    prompt = block(script) if not isinstance(script, str) else f"```script\n{script}\n```"
    (fault,) = ScriptedClient().turn(prompt)
    assert isinstance(fault, HttpFault)
    assert fault.status == 400
    assert reason in fault.message
