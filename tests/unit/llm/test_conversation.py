from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.llm.compaction import compacts_at, room_for
from backends.llm.conversation import MAX_SAID, Conversation, estimate
from process_agent.core.recalled import SUMMARY
from process_agent.wire.llm.request import Call, CallOutput, Image, Item, Message, Reasoning, Text


def said(text: str, role: str = "user") -> Message:
    return Message(role, (Text(text),))  # type: ignore[arg-type]


items = st.lists(
    st.one_of(
        st.text(max_size=30).map(said),
        st.text(max_size=30).map(lambda text: said(text, "assistant")),
        st.just(Reasoning("hm")),
        st.builds(lambda n: Call(f"c{n}", "tool", "{}"), st.integers(0, 5)),
        st.builds(lambda n: CallOutput(f"c{n}", (Text("x"),)), st.integers(0, 5)),
    ),
    max_size=12,
)


@given(items)
def test_every_call_gets_an_output_once(given_items: list[Item]) -> None:
    conversation = Conversation()
    conversation.add(*given_items)
    conversation.close_calls("gone")
    before = len(conversation.items)
    conversation.close_calls("gone")
    assert len(conversation.items) == before
    open_calls: set[str] = set()
    for item in conversation.items:
        if isinstance(item, Call):
            open_calls.add(item.call_id)
        elif isinstance(item, CallOutput):
            open_calls.discard(item.call_id)
    assert not open_calls


@given(items, st.integers(0, 200))
def test_the_newest_fit_and_no_output_is_without_its_call(given_items: list[Item], room: int) -> None:
    conversation = Conversation()
    conversation.add(*given_items)
    found = conversation.newest(room)
    assert sum(map(estimate, found)) <= room
    called = {item.call_id for item in found if isinstance(item, Call)}
    assert {item.call_id for item in found if isinstance(item, CallOutput)} <= called


def test_a_summary_stands_before_what_was_just_said() -> None:
    conversation = Conversation()
    conversation.add(said("old"), said("answer", "assistant"), Call("c", "t", "{}"), said("now"))
    conversation.summarised("short")
    conversation.summarised("shorter")
    texts = [item.parts[0].text for item in conversation.items]  # type: ignore[union-attr]
    assert texts == ["old", SUMMARY + "shorter", "now"]


def test_of_what_people_said_only_the_newest_stays() -> None:
    conversation = Conversation()
    conversation.add(said("x" * MAX_SAID), said("kept"), said("answer", "assistant"))
    conversation.summarised("short")
    texts = [item.parts[0].text for item in conversation.items]  # type: ignore[union-attr]
    assert texts == ["kept", SUMMARY + "short"]


def test_what_the_provider_counted_is_believed() -> None:
    conversation = Conversation()
    conversation.add(said("x" * 3500))
    assert 1000 <= conversation.tokens() <= 1100
    conversation.counted(17)
    assert conversation.tokens() == 17
    conversation.add(said("x" * 350), Message("user", (Image("data:"),)))
    assert 1600 <= conversation.tokens() <= 1700


def test_room_for_a_summary() -> None:
    assert compacts_at(100_000) == 90_000
    assert room_for(100_000) == 82_000
    assert room_for(10_000) == 5_000
    assert room_for(None) == 100_000
