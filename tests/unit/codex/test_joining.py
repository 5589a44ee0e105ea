"""Words that come together are one notification, and say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.codex.joining import MAX_JOINED, joined
from process_agent.wire.jsonrpc import Notification

METHODS = ("item/agentMessage/delta", "item/reasoning/textDelta", "item/commandExecution/outputDelta")
notifications = st.builds(
    lambda method, item, index, text: Notification(
        method, {"threadId": "t", "turnId": "u", "itemId": item, "contentIndex": index, "delta": text}
    ),
    st.sampled_from([*METHODS, "item/started"]),
    st.sampled_from(["a", "b"]),
    st.integers(0, 1),
    st.text(max_size=3),
)


def folded(heard: list[Notification]) -> list[tuple[str, dict[str, object], str]]:
    """Runs of the same thing, with their text."""
    runs: list[tuple[str, dict[str, object], str]] = []
    for each in heard:
        about = {**each.params, "delta": ""}
        text = str(each.params["delta"])
        if runs and runs[-1][:2] == (each.method, about):
            runs[-1] = (each.method, about, runs[-1][2] + text)
        else:
            runs.append((each.method, about, text))
    return runs


@given(st.lists(notifications, max_size=30))
def test_nothing_is_lost_or_changes_its_place(heard: list[Notification]) -> None:
    out: list[Notification] = []
    for each in heard:
        both = joined(out[-1] if out else None, each)
        if both is None:
            out.append(each)
        else:
            out[-1] = both
    assert folded(out) == folded(heard)
    assert [x for x in out if x.method == "item/started"] == [x for x in heard if x.method == "item/started"]


def word(text: object, **about: object) -> Notification:
    return Notification(METHODS[0], {"itemId": "a", **about, "delta": text})


def test_only_what_goes_on_is_joined() -> None:
    assert joined(word("a"), word("b")) == word("ab")
    assert joined(None, word("b")) is None
    assert joined(word("a", itemId="b"), word("b")) is None
    assert joined(word("a", more=1), word("b")) is None
    assert joined(word(None), word("b")) is None
    assert joined(word("a"), word(3)) is None


def test_what_is_joined_does_not_grow_without_end() -> None:
    assert joined(word("x" * MAX_JOINED), word("b")) is None
