from __future__ import annotations

import pytest

from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.titles import MAX_TITLE, title_of


@pytest.mark.parametrize(
    ("content", "name", "title"),
    [
        ((), None, "New Chat"),
        ((TextPart("  fix\n the\ttest\x00 "),), None, "fix the test"),
        ((TextPart("text"),), " my  name ", "my name"),
        ((TextPart("text"),), "\n", "text"),
        ((FilePart("room:///a/b.png"), FilePart("data:image/png;base64,xx")), None, "b.png, file"),
        ((FilePart("room:///x", "shown.pdf"),), None, "shown.pdf"),
        ((TextPart("\u2028\ud800"),), None, "New Chat"),
    ],
)
def test_titles(content: tuple[ContentPart, ...], name: str | None, title: str) -> None:
    assert title_of(content, name) == title


def test_long_texts_are_cut() -> None:
    title = title_of((TextPart("word " * 1_000_000),))
    assert len(title) <= MAX_TITLE
    assert title.endswith("…")
