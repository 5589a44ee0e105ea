"""What was built of a conversation before is not built again, and never changes what is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.wire.llm.dialects import CODECS
from process_agent.wire.llm.request import (
    Built,
    Call,
    CallOutput,
    Image,
    Item,
    Message,
    ModelRequest,
    Reasoning,
    Replay,
    Text,
)

TEXTS = st.text(max_size=12)
ITEMS = st.lists(
    st.one_of(
        TEXTS.map(lambda text: Message("user", (Text(text),))),
        TEXTS.map(lambda text: Message("user", (Text(text), Image("data:image/png;base64,AA==")))),
        TEXTS.map(lambda text: Message("assistant", (Text(text),))),
        st.builds(lambda n: Call(f"c{n}", "tool", "{}"), st.integers(0, 3)),
        st.builds(lambda n: CallOutput(f"c{n}", (Text("x"),)), st.integers(0, 3)),
        st.just(Reasoning("hm", Replay("here", {"type": "thinking", "thinking": "hm", "signature": "s"}))),
    ),
    max_size=12,
)


@pytest.mark.parametrize("dialect", ["responses", "messages", "chat"])
@given(given_items=ITEMS, cuts=st.lists(st.integers(0, 12), max_size=4))
def test_the_same_is_sent_with_and_without(dialect: str, given_items: list[Item], cuts: list[int]) -> None:
    codec, built = CODECS[dialect], Built()  # type: ignore[index]
    for end in [*cuts, 12]:
        for origin in ("here", "elsewhere"):
            items = tuple(given_items[:end])
            fresh = codec.encode(ModelRequest("m", items, origin=origin))
            assert codec.encode(ModelRequest("m", items, origin=origin, built=built)) == fresh


def test_nothing_is_built_twice() -> None:
    made: list[Item] = []

    def make(item: Item) -> int:
        made.append(item)
        return len(made)

    built, items = Built(), [Message("user", (Text("a"),)), Message("user", (Text("a"),))]
    for origin, expected in [("here", [1, 2]), ("here", [1, 2]), ("there", [3, 4])]:
        assert list(map(built.maker("chat", origin, make), items)) == expected
    built.maker("chat", "there", make)(items[0])  # what a request leaves out is forgotten
    assert list(map(built.maker("chat", "there", make), items)) == [3, 5]
