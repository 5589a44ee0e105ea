"""What is asked arrives: our requests, read by the server's half of each dialect, are the same conversation.
And what is answered is asked again: an answer in any pieces goes into the next request whole.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.core.providers import Dialect
from process_agent.scripted.actions import Action
from process_agent.wire import chat, messages, responses
from process_agent.wire.llm import events as e
from process_agent.wire.llm.dialects import CODECS
from process_agent.wire.llm.request import Call, CallOutput, Item, Message, ModelRequest, OfferedTool, Text
from process_agent.wire.responses import Call as AskedCall
from process_agent.wire.responses import CallOutput as AskedOutput
from process_agent.wire.responses import Message as AskedMessage
from process_agent.wire.responses import ResponsesRequest
from tests.fakes.llm_judges import cut, judges, ours
from tests.property.test_llm_streams import actions, read, stream

PARSERS: dict[Dialect, Callable[[bytes], ResponsesRequest]] = {
    "responses": responses.parse_request,
    "messages": messages.parse_request,
    "chat": chat.parse_request,
}

TOOL = OfferedTool("look", "looks", {"type": "object", "properties": {"where": {"type": "string"}}})

words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=20)
objects = st.dictionaries(words, words | st.integers() | st.none(), max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> list[Item]:
    """Turns of people, with what models said and did; each call has its output right after the calls."""
    items: list[Item] = []
    count = 0
    for _ in range(draw(st.integers(0, 4))):
        items.append(Message("user", tuple(map(Text, draw(st.lists(words, min_size=1, max_size=3))))))
        for _ in range(draw(st.integers(0, 2))):
            if draw(st.booleans()):
                items.append(Message("assistant", (Text(draw(words)),)))
            made = [
                Call(f"call_{count + n}", "look", json.dumps(given, ensure_ascii=False))
                for n, given in enumerate(draw(st.lists(objects, max_size=3)))
            ]
            count += len(made)
            outputs = [CallOutput(call.call_id, (Text(draw(words)),), draw(st.booleans())) for call in made]
            items += [*made, *outputs]
    return items


type Line = tuple[str, ...]


def asked(items: Sequence[Item]) -> list[Line]:
    """The conversation, line by line; what one side says in a row is one line, as some dialects have it."""
    lines: list[Line] = []
    for item in items:
        match item:
            case Message(role, parts):
                _said(lines, role, "".join(part.text for part in parts if isinstance(part, Text)))
            case Call(call_id, name, arguments):
                lines.append(("call", call_id, name, _same(arguments)))
            case CallOutput(call_id, parts):
                lines.append(("output", call_id, *(part.text for part in parts if isinstance(part, Text))))
            case _:
                pass
    return lines


def arrived(request: ResponsesRequest) -> list[Line]:
    """The same, as a server reads it."""
    lines: list[Line] = []
    for item in request.input:
        match item:
            case AskedMessage("system", _):
                pass  # the instructions
            case AskedMessage(role, parts):
                _said(lines, role, "".join(parts).replace("\n", ""))
            case AskedCall(call_id, name, arguments):
                lines.append(("call", call_id, name, _same(arguments)))
            case AskedOutput(call_id, output):
                lines.append(("output", call_id, output))
            case _:
                pass
    return lines


def _said(lines: list[Line], role: str, text: str) -> None:
    if lines and lines[-1][0] == role:
        lines[-1] = (role, lines[-1][1] + text)
    else:
        lines.append((role, text))


def _same(arguments: str) -> str:
    return json.dumps(json.loads(arguments), sort_keys=True)


@pytest.mark.parametrize("dialect", PARSERS)
@settings(max_examples=30)
@given(conversations(), words)
def test_a_request_arrives_as_it_was_meant(dialect: Dialect, items: list[Item], rules: str) -> None:
    if dialect == "messages" and items and isinstance(items[0], Message) and items[0].role != "user":
        return
    request = ModelRequest("m", tuple(items), rules, tools=(TOOL,), origin="me", cache_key="thread")
    found = PARSERS[dialect](CODECS[dialect].encode(request))
    placeholder = ("user", "(The conversation goes on.)")
    assert [line for line in arrived(found) if line != placeholder] == asked(items)
    assert (found.model, found.stream) == ("m", True)
    [tool] = found.tools
    assert (tool.name, tool.parameters) == ("look", frozenset({"where"}))


@pytest.mark.parametrize("dialect", PARSERS)
@settings(max_examples=30)
@given(st.lists(actions, max_size=4), st.lists(st.integers(0, 100_000), max_size=30))
def test_an_answer_in_any_pieces_is_in_the_next_request(
    dialect: Dialect, done: list[Action], cuts: list[int]
) -> None:
    items: list[Item] = [Message("user", (Text("go"),))]
    written: list[str] = []
    for event in read(dialect, stream(dialect, done), cuts):
        match event:
            case e.TextBegun():
                written = []
            case e.TextDelta(text):
                written.append(text)
            case e.TextDone(parts):
                items.append(Message("assistant", parts or (Text("".join(written)),)))
            case e.ReasoningDone(reasoning):
                items.append(reasoning)
            case e.CallDone(_, call):
                items.append(call)
            case e.HostedDone(_, hosted):
                items.append(hosted)
            case _:
                pass
    items += [CallOutput(item.call_id, (Text("ok"),)) for item in items if isinstance(item, Call)]
    request = ModelRequest("m", tuple(items), origin="me", search=True)
    found = PARSERS[dialect](CODECS[dialect].encode(request))
    assert _spoken(arrived(found)) == _spoken(asked(items))


def _spoken(lines: Sequence[Line]) -> list[Line]:
    """Without white space, which some dialects add between texts and drop where there is nothing else."""
    bare = [
        (line[0], "".join(line[1].split())) if line[0] in ("user", "assistant") else line for line in lines
    ]
    joined: list[Line] = []
    for line in bare:
        if line[0] in ("user", "assistant"):
            if line[1]:
                _said(joined, line[0], line[1])
        else:
            joined.append(line)
    return joined


@pytest.mark.parametrize("dialect", PARSERS)
def test_an_official_client_reads_any_answer_in_any_pieces_as_we_do(dialect: Dialect) -> None:
    """In one event loop: the clients are made once."""

    async def all_examples() -> None:
        async with judges() as sitting:

            @settings(max_examples=30)
            @given(st.lists(actions, max_size=4), st.lists(st.integers(0, 100_000), max_size=30))
            def example(done: list[Action], cuts: list[int]) -> None:
                data = cut(stream(dialect, done), cuts)
                wanted.append((data, done))

            wanted: list[tuple[list[bytes], list[Action]]] = []
            example()
            for data, done in wanted:
                mine, judged = ours(dialect, data), await sitting.judge(dialect, data)
                if dialect == "chat":
                    mine.kept = []  # what goes back is no matter of OpenAI's
                assert mine == judged, done

    asyncio.run(all_examples())
