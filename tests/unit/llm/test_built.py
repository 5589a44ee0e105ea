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
    """Also where a conversation became shorter, and was asked of another provider in between."""
    codec, built = CODECS[dialect], Built()  # type: ignore[index]
    for origin in ("here", "elsewhere", "here"):
        for end in [*sorted(cuts), *cuts, 12]:
            items = tuple(given_items[:end])
            fresh = codec.encode(ModelRequest("m", items, origin=origin))
            assert codec.encode(ModelRequest("m", items, origin=origin, built=built)) == fresh


def item(text: str) -> Item:
    return Message("user", (Text(text),))


def test_what_only_grows_is_not_gone_through_again() -> None:
    added: list[Item] = []

    def add(made: list[Item], item: Item) -> None:
        added.append(item)
        made.append(item)

    built, talk = Built(), (item("a"), item("b"))
    for items, anew in [
        (talk, 2),
        (talk, 0),
        ((*talk, item("c")), 1),
        ((*talk, item("d")), 3),
        (talk[:1], 1),
    ]:
        added.clear()
        assert built.made("chat", "here", items, list[Item], add) == list(items)
        assert len(added) == anew
    added.clear()
    built.made("chat", "there", talk[:1], list[Item], add)
    built.made("messages", "there", talk[:1], list[Item], add)
    assert len(added) == 2, "another provider or dialect reads another way"


def test_what_cannot_be_added_is_not_taken_for_known() -> None:
    def add(made: list[Item], item: Item) -> None:
        made.append(item)
        if len(made) == 2:
            raise ValueError("not that")

    built, items = Built(), (item("a"), item("b"))
    for _ in range(2):
        with pytest.raises(ValueError, match="not that"):
            built.made("chat", "here", items, list[Item], add)
    assert built.made("chat", "here", items[:1], list[Item], add) == [items[0]]
