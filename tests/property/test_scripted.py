from __future__ import annotations

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from process_agent.errors import WireError
from process_agent.scripted.actions import Action, CallTools
from process_agent.scripted.answers import Answer, Cut, Noise, Pause, seed_of
from process_agent.scripted.markdown import fenced
from process_agent.scripted.patches import update_file
from process_agent.scripted.script import answer
from process_agent.scripted.split import LONGEST_PIECE, pieces
from process_agent.wire.responses import parse_request
from process_agent.wire.responses_stream import ResponseStream
from tests.fakes.scripted_client import ScriptedClient, exec_output, message, said

texts = st.text(st.characters(exclude_categories=["Cs"]))


member_names = st.sampled_from(
    ["type", "role", "content", "text", "call_id", "name", "arguments", "input", "output", "tools", "id", "x"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(member_names, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["input", "tools", "stream", "prompt_cache_key"]), json_values))
def test_any_json_is_answered_or_refused_with_a_reason(members: dict[str, object]) -> None:
    try:
        request = parse_request(msgspec.json.encode({"model": "m"} | members))
    except WireError:
        return
    assert answer(request)


@given(texts)
def test_pieces_join_to_the_text_and_never_differ(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert pieces(text) == pieces(text)
    assert all(0 < len(piece) <= LONGEST_PIECE for piece in pieces(text))


@given(texts.filter(bool))
@example(": 0")
def test_say_is_exact_for_any_text(text: str) -> None:
    assert said(ScriptedClient().turn(f"say {text}")) == text


@given(texts, st.lists(texts, max_size=3))
def test_any_prompt_and_any_outputs_end_in_something_said(prompt: str, outputs: list[str]) -> None:
    left = iter(outputs)
    actions = ScriptedClient(tool=lambda call: next(left, exec_output("ok\n"))).turn(prompt)
    assert actions


@given(
    st.sampled_from(["fix the demo", "create a.py and run it", "make a plan", "replace a with b in c.txt"])
)
def test_a_request_asked_again_gets_the_same_answer(prompt: str) -> None:
    client = ScriptedClient(tool=lambda call: exec_output("a\n"))
    client.turn(prompt)
    for end in range(len(client.history) + 1):
        first: list[Action] = answer(parse_request(_body(client.history[:end])))
        assert first == answer(parse_request(_body(client.history[:end])))


def _body(history: list[dict[str, object]]) -> bytes:
    return msgspec.json.encode({"model": "m", "input": history, "tools": list(ScriptedClient().tools)})


@given(texts)
def test_every_answer_is_a_complete_stream(prompt: str) -> None:
    request = parse_request(_body([message("user", prompt)]))
    actions = answer(request)
    stream = ResponseStream(response_id="resp_1", model="m", created_at=0)
    answering = Answer(request, actions, stream, seed=seed_of(request))
    events = [part for part in answering.parts() if not isinstance(part, Pause | Cut | Noise)]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert answering.stream.body["output"] == done
    ids = [item["id"] for item in done]
    assert len(set(ids)) == len(ids)
    calls = [call for action in actions if isinstance(action, CallTools) for call in action.calls]
    assert len([item for item in done if "call_id" in item]) == len(calls)


@given(texts)
def test_a_fence_is_longer_than_any_inside(text: str) -> None:
    block = fenced(text)
    fence = block[: len(block) - len(block.lstrip("`"))]
    assert block.endswith("\n" + fence)
    assert fence not in block[len(fence) : -len(fence)]


lines = st.lists(st.sampled_from(["a", "a", "a", "a", "-d", "@@"]), min_size=1, max_size=40)


@given(lines, st.data())
def test_a_patch_turns_the_old_content_into_the_new(before: list[str], data: st.DataObject) -> None:
    after = list(before)
    for _ in range(data.draw(st.integers(0, 3))):
        after[data.draw(st.integers(0, len(after) - 1))] = "z"
    old, new = "\n".join(before) + "\n", "\n".join(after) + "\n"
    assert _apply(update_file("f", old, new), before) == after


def _apply(patch: str, lines: list[str]) -> list[str]:
    """Read a patch by its line marks alone: what is kept and removed must be there, in order."""
    body = patch.removeprefix("*** Begin Patch\n*** Update File: f\n").removesuffix("*** End Patch\n")
    if not body:
        return lines
    result: list[str] = []
    at = 0
    for hunk in body.removeprefix("@@\n").split("\n@@\n"):
        marked = [line for line in hunk.removesuffix("\n").split("\n") if line != "*** End of File"]
        old = [line[1:] for line in marked if line[0] in " -"]
        found = next(n for n in range(at, len(lines) + 1) if lines[n : n + len(old)] == old)
        result += lines[at:found] + [line[1:] for line in marked if line[0] in " +"]
        at = found + len(old)
    return result + lines[at:]
