"""What a provider can read of a conversation that grows is the same as of one that is gone through anew."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.llm import as_read
from backends.llm.as_read import AsRead
from backends.llm.hosted import for_provider, readable_documents
from process_agent.core.providers import ModelProvider
from process_agent.wire.llm.request import (
    Call,
    CallOutput,
    Document,
    Hosted,
    HostedTool,
    Image,
    Item,
    Message,
    Reasoning,
    Replay,
    Text,
)

ORIGINS = st.sampled_from(["here", "elsewhere"])
PROVIDERS = [
    ModelProvider("here", "Here", "messages", "http://127.0.0.1", documents=("application/pdf",)),
    ModelProvider("elsewhere", "Elsewhere", "chat", "http://127.0.0.1"),
]
PDF = Document("data:application/pdf;base64,AA==", "a.pdf", "words of it")
PLAIN = st.one_of(
    st.builds(lambda text: Message("user", (Text(text),)), st.text(max_size=3)),
    st.just(Message("user", (Text("read"), PDF))),
    st.builds(lambda o: Message("assistant", (Text("so"), Text("it is", Replay(o, {})))), ORIGINS),
    st.builds(lambda o: Reasoning("hm", Replay(o, {"a": 1})), ORIGINS),
    st.just(Call("c", "tool", "{}")),
    st.just(CallOutput("c", (Text("x"),))),
)
HOSTED = st.builds(
    lambda tool, origin, open_: Hosted(tool, Replay(origin, {"items": []}), (Text("t"), Image("i")), open_),
    st.sampled_from(["web_search", "image_generation"]),
    ORIGINS,
    st.booleans(),
)
TOOLS = st.sampled_from([frozenset[HostedTool](), frozenset[HostedTool]({"web_search"})])
STEPS = st.lists(
    st.tuples(
        st.lists(st.one_of(PLAIN, PLAIN, HOSTED), max_size=4),
        st.sampled_from(PROVIDERS),
        TOOLS,
        st.booleans(),
    ),
    max_size=6,
)


@given(STEPS)
def test_it_is_read_alike(
    steps: list[tuple[list[Item], ModelProvider, frozenset[HostedTool], bool]],
) -> None:
    read, items = AsRead(), list[Item]()
    for more, provider, tools, reasoning in steps:
        items += more
        listed = readable_documents(items, provider)
        anew = for_provider(listed, provider.name, tools, reasoning=reasoning)
        assert read.items(items, provider, tools, reasoning=reasoning) == anew


def test_a_request_costs_what_is_new_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(items: Sequence[Item], provider: ModelProvider) -> Sequence[Item]:
        seen.append(len(items))
        return items

    monkeypatch.setattr(as_read, "readable_documents", counted)
    read, items = AsRead(), list[Item]()
    for number in range(100):
        items += [Message("user", (Text(str(number)),)), Reasoning("", Replay("here", {}))]
        assert len(read.items(items, PROVIDERS[0], frozenset())) == 2 * (number + 1)
    assert seen == [2] * 100
