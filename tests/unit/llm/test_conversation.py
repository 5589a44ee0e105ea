from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.llm.compaction import compacts_at, fitting, parts, room_for
from backends.llm.conversation import MAX_SAID, Conversation
from backends.llm.estimates import of_frame, of_item, of_text
from backends.llm.fill import Fill
from process_agent.core.recalled import SUMMARY
from process_agent.wire.llm.request import (
    Call,
    CallOutput,
    Image,
    Item,
    Message,
    OfferedTool,
    Reasoning,
    Text,
)


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


@given(items, st.integers(60, 400))
def test_each_part_fits_and_no_output_is_without_its_call(given_items: list[Item], room: int) -> None:
    for part in parts(given_items, room):
        assert sum(map(of_item, part)) <= room + 10 * len(part)  # what is told as text is a little longer
        called = {item.call_id for item in part if isinstance(item, Call)}
        assert {item.call_id for item in part if isinstance(item, CallOutput)} == called


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


def test_beside_a_summary_stays_what_a_small_model_has_room_for() -> None:
    conversation = Conversation()
    conversation.add(said("y" * 3500), said("x" * 350), said("answer", "assistant"))
    conversation.summarised("short", 500)
    texts = [item.parts[0].text for item in conversation.items]  # type: ignore[union-attr]
    assert texts == ["x" * 350, SUMMARY + "short"]


def test_what_the_provider_counted_is_believed() -> None:
    conversation = Conversation()
    conversation.add(said("x" * 3500))
    assert 1000 <= conversation.fill.tokens("a") <= 1100
    conversation.fill.counted(17, "a")
    assert conversation.fill.tokens("a") == 17
    conversation.add(said("x" * 350), Message("user", (Image("data:"),)))
    assert 1600 <= conversation.fill.tokens("a") <= 1700


def test_what_comes_with_every_request_counts() -> None:
    fill = Fill()
    tool = OfferedTool("look", "Looks at a thing.", {"type": "object", "properties": {}})
    fill.frame = of_frame("Be kind. " * 100, [tool])
    assert 270 <= fill.tokens("a") <= 330
    fill.counted(290, "a")
    assert fill.tokens("a") == 290


def test_a_count_far_above_the_estimate_corrects_what_comes_after_it() -> None:
    fill = Fill([said("x" * 3500)])
    fill.counted(2_000, "a")
    fill.add([said("x" * 3500)])
    assert 3_900 <= fill.tokens("a") <= 4_100


def test_another_model_counts_for_itself() -> None:
    fill = Fill([said("x" * 35_000)])
    fill.counted(4_000, "a")
    assert fill.tokens("a") == 4_000
    assert 10_000 <= fill.tokens("b") <= 10_100


@pytest.mark.parametrize(
    ("text", "least"),
    [
        # Tokens that OpenAI's o200k counts, the newest vocabulary that is public.
        ("The quick brown fox jumps over the lazy dog. " * 20, 200),
        ("今日は良い天気ですね。散歩に行きましょう。" * 20, 260),
        ("Сегодня хорошая погода, пойдём гулять. " * 20, 180),
        ("def add(left: int, right: int) -> int:\n    return left + right\n" * 20, 320),
        ("9f86d081884c7d659a2feaa0c55ad015" * 20, 0),
    ],
)
def test_estimates_are_rather_too_high(text: str, least: int) -> None:
    assert of_text(text) >= least


def test_a_conversation_that_fits_is_one_part() -> None:
    given_items: list[Item] = [said("one"), said("two", "assistant"), CallOutput("gone", (Text("x"),))]
    [part] = parts(given_items, 1_000)
    assert part[:2] == tuple(given_items[:2])
    assert isinstance(part[2], Message)  # an output without its call is refused


def test_a_conversation_that_does_not_fit_loses_no_word() -> None:
    given_items = [said(f"word-{n} " * 50) for n in range(40)]
    found = parts(given_items, 1_000)
    assert 4 < len(found) <= 12
    assert [item for part in found for item in part] == given_items
    assert all(sum(map(of_item, part)) <= 800 for part in found)


def test_what_is_longer_than_the_context_by_itself_keeps_its_ends() -> None:
    output = CallOutput("c", (Text("begin " + "x" * 100_000 + " end"),))
    [part] = parts([Call("c", "read", "{}"), output], 2_000)
    assert of_item(part[1]) <= 1_000
    [text] = [each.text for each in part[1].parts]  # type: ignore[union-attr]
    assert text.startswith("begin ")
    assert text.endswith(" end")


def test_the_middle_of_what_is_far_too_long_is_left_out() -> None:
    found = parts([said(f"word-{n} " * 50) for n in range(400)], 1_000)
    assert len(found) == 12
    assert "word-0 " in str(found[0])
    assert "word-399 " in str(found[-1])


def test_room_for_a_summary() -> None:
    assert compacts_at(100_000) == 90_000
    assert compacts_at(100_000, 40_960) == 59_040
    assert compacts_at(10_000, 40_960) == 5_000
    assert room_for(100_000) == 82_000
    assert room_for(10_000) == 5_000
    assert room_for(None) == 100_000
    assert fitting("x" * 100, 1_000) == "x" * 100
    assert of_text(fitting("x" * 10_000, 1_000)) == 200
