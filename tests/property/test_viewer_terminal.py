"""Markdown that streams, and texts that are made safe, for any input."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.visible import visible
from process_agent.viewer.terminal.diffs import parse_diff
from process_agent.viewer.terminal.markdown import MarkdownStream
from process_agent.viewer.terminal.plain import printable

PIECES = ["# A\n", "text", "\n", "\n\n", "- a\n", "1. b\n", "```\n", "    x\n", "> q\n", "\r", "é"]
PIECES += ["| a | b |\n", "|---|---|\n"]
MARKDOWN = st.lists(st.sampled_from(PIECES), max_size=30)


@given(MARKDOWN)
def test_streamed_blocks_put_together_are_the_text(pieces: list[str]) -> None:
    stream, text, shown = MarkdownStream(), "", ""
    for piece in pieces:
        text += piece
        shown += stream.take(text, done=False)
        assert shown + stream.pending(text) == text
    assert shown + stream.take(text, done=True) == text


@given(MARKDOWN)
def test_a_fence_is_never_cut(pieces: list[str]) -> None:
    stream, text = MarkdownStream(), ""
    for piece in pieces:
        text += piece
        block = stream.take(text, done=False)
        assert block == "" or block.endswith("\n")
    fenced = "```\n" + "\n\ncode\n\n" * 3
    assert MarkdownStream().take(fenced, done=False) == ""
    assert MarkdownStream().take(fenced + "```\nnext\n", done=False) == fenced + "```\n"


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_safe_text_has_no_control_characters(text: str) -> None:
    safe = printable(text)
    assert all(c == "\n" or unicodedata.category(c) != "Cc" for c in safe)
    assert printable(safe) == safe


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_what_is_written_out_is_one_printable_line(text: str) -> None:
    assert visible(text).isprintable()


@given(st.text())
def test_any_text_can_be_taken_for_a_diff(text: str) -> None:
    for file in parse_diff(text):
        assert file.added + file.removed <= len(file.lines)
