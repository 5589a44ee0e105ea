"""Text cut by `Recut` is shown exactly by every client, whatever the model writes and however it is split."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.core.recut import Recut, is_legal


def flutter(pieces: list[str]) -> str:
    """The published Flutter client's rule for text deltas."""
    shown = ""
    for piece in pieces:
        if piece.startswith(shown) and shown:
            shown = piece
        elif not shown.endswith(piece):
            shown += piece
    return shown


def cut(deltas: list[str]) -> list[str]:
    recut = Recut()
    pieces = [piece for delta in deltas for piece in recut.take(delta)]
    return pieces + recut.take("", final=True)


@settings(max_examples=1500)
@given(st.lists(st.text(alphabet="ab", max_size=6), max_size=12))
def test_few_letters(deltas: list[str]) -> None:
    check(deltas)


@settings(max_examples=500)
@given(st.lists(st.text(alphabet="abc\n", max_size=4), max_size=30))
def test_some_letters(deltas: list[str]) -> None:
    check(deltas)


@given(st.lists(st.text(max_size=20)))
def test_any_text(deltas: list[str]) -> None:
    check(deltas)


def check(deltas: list[str]) -> None:
    pieces = cut(deltas)
    sent = ""
    for piece in pieces:
        assert is_legal(sent, piece)
        sent += piece
    assert sent == "".join(deltas)
    assert flutter(pieces) == sent


@pytest.mark.parametrize("text", ["1 0 0", "ha ha", "a a", "ab ab ab", "a aa a", "aba aba", "= = = ="])
def test_what_the_published_client_gets_wrong_uncut(text: str) -> None:
    check(text.split(" "))


def test_all_but_the_last_run_goes_out_at_once() -> None:
    recut = Recut()
    assert recut.take("Hello") == ["Hell"]
    assert recut.take(" world...") == ["o world"]
    assert recut.take("", final=True) == ["..."]


@given(st.text(min_size=1, max_size=40))
def test_at_most_three_pieces_a_delta(text: str) -> None:
    recut = Recut()
    for _ in range(4):
        assert len(recut.take(text)) <= 3
    assert len(recut.take("", final=True)) <= 3
