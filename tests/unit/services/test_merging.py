"""New documents over old ones that people changed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from process_agent.services.merging import difference, merged, without_nulls

LAST: dict[str, Any] = {
    "enabled": True,
    "metadata": {"name": "bot", "annotations": {"id": "bot"}},
    "container": {
        "image": "x:1",
        "command": "process join --a",
        "environment": [{"name": "A", "value": "1"}, {"name": "TOKEN", "token": {}}],
        "private": True,
    },
}


def changed(**container: Any) -> dict[str, Any]:
    return {**LAST, "container": {**LAST["container"], **container}}


def test_nothing_changed_by_hand_is_simply_the_new_one() -> None:
    new = changed(command="process join --b", environment=[{"name": "TOKEN", "token": {}}])
    result = merged(LAST, LAST, new)
    assert result.document == new
    assert (result.kept, result.replaced) == ([], [])


def test_what_people_added_and_changed_stays() -> None:
    by_hand = changed(
        image="x:2",
        on_demand=True,
        environment=[*LAST["container"]["environment"], {"name": "MINE", "value": "2"}],
    )
    by_hand["enabled"] = False
    by_hand["metadata"] = {**LAST["metadata"], "icon": "robot", "description": None}
    result = merged(LAST, by_hand, changed(command="process join --b"))
    container: Any = result.document["container"]
    assert result.document["enabled"] is False
    assert result.document["metadata"] == {"name": "bot", "annotations": {"id": "bot"}, "icon": "robot"}
    assert (container["image"], container["on_demand"], container["command"]) == (
        "x:2",
        True,
        "process join --b",
    )
    assert [each["name"] for each in container["environment"]] == ["A", "TOKEN", "MINE"]
    assert sorted(result.kept) == [
        "container.environment[MINE]", "container.image", "container.on_demand", "metadata.icon",
    ]  # fmt: skip


def test_a_flag_that_changes_wins_over_a_hand_and_says_so() -> None:
    result = merged(LAST, changed(image="x:2"), changed(image="x:3"))
    assert result.document["container"] == changed(image="x:3")["container"]
    assert result.replaced == ["container.image"]


def test_what_the_flags_no_longer_say_goes_unless_a_hand_changed_it() -> None:
    without = changed(environment=[{"name": "TOKEN", "token": {}}])
    assert merged(LAST, LAST, without).document == without
    by_hand = changed(environment=[{"name": "A", "value": "9"}, {"name": "TOKEN", "token": {}}])
    result = merged(LAST, by_hand, without)
    assert result.replaced == ["container.environment[A]"]
    assert result.document == without


def test_a_service_that_somebody_else_made_keeps_what_we_do_not_speak_of() -> None:
    theirs = {**changed(image="x:2", working_dir="/srv"), "enabled": False, "files": None}
    result = merged(None, theirs, LAST)
    assert result.document == {**changed(working_dir="/srv"), "enabled": False}


NAMES = st.sampled_from("abc")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)


@given(DOCUMENTS, DOCUMENTS)
def test_untouched_documents_become_the_new_one(last: dict[str, Any], new: dict[str, Any]) -> None:
    last = without_nulls(last)
    result = merged(last, last, new)
    assert result.document == without_nulls(new)
    assert (result.kept, result.replaced) == ([], [])


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_deploying_the_same_again_changes_nothing_more(
    last: dict[str, Any], there: dict[str, Any], new: dict[str, Any]
) -> None:
    last, new = without_nulls(last), without_nulls(new)
    first = merged(last, there, new).document
    assert merged(new, first, new).document == first


@given(DOCUMENTS, DOCUMENTS)
def test_a_deploy_that_says_nothing_new_keeps_every_hand_made_change(
    last: dict[str, Any], there: dict[str, Any]
) -> None:
    last, there = without_nulls(last), without_nulls(there)
    merged_again = merged(last, there, last).document
    for key, value in there.items():
        if not isinstance(value, dict | list):
            assert merged_again[key] == value


def test_a_difference_reads_like_one() -> None:
    assert difference(LAST, LAST) == ""
    assert "+  image: x:3" in difference(LAST, changed(image="x:3"))
    assert difference(None, LAST).startswith("--- nothing\n+++ new\n")
