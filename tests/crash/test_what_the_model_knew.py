"""The check of real kills by itself: what a model may know of turns that were cut off, and what not."""

from __future__ import annotations

import pytest

from tests.crash.real_kills import knew

STORED = [("t1", "first"), ("t1", "w1 w1 "), ("t2", "then?"), ("t2", "w84 w84 "), ("t3", "and?")]
MORE = {"then?", "w84 w84 w84 w84 "}


@pytest.mark.parametrize(
    "told",
    [
        ["first", "w1 w1 ", "then?", "w84 w84 ", "and?"],
        pytest.param(
            ["first", "w1 w1 ", "then?", "w84 w84 w84 w84 ", "and?"], id="Codex kept the whole of a lost text"
        ),
    ],
)
def test_what_is_stored_was_told(told: list[str]) -> None:
    knew(told, STORED, "and?", {"t2"}, MORE)


def test_a_turn_of_which_nothing_is_stored_may_be_told_as_codex_kept_it() -> None:
    told = ["first", "w1 w1 ", "then?", "w84 w84 w84 w84 ", "and?"]
    knew(told, [*STORED[:2], STORED[4]], "and?", {"t2"}, MORE)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (["first", "w1 w1 ", "then?", "and?"], "and not 'w84 w84 '"),
        (["first", "w1 w1 w1 ", "then?", "w84 w84 ", "and?"], "and not 'w1 w1 '"),
        (["first", "w1 w1 ", "then?", "w84 w84 ", "and?", "w1 w1 "], "too"),
        (["w1 w1 ", "first", "then?", "w84 w84 ", "and?"], "and not 'first'"),
    ],
)
def test_what_is_missing_or_changed_or_said_twice_is_found(told: list[str], why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        knew(told, STORED, "and?", {"t2"}, MORE)
