from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.title_words import MAX_TITLE, asks_for_title, clean_title


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Fix the demo", "Fix the demo"),
        ('"Fix the demo."', "Fix the demo"),
        ("\n\n**Fix the demo**\nand more", "Fix the demo"),
        ("„Über  uns“", "Über uns"),
        ("a\x1b[31mb\u202ec", "a [31mb c"),
        ("x" * 100, "x" * (MAX_TITLE - 1) + "…"),
        ('\n "" \n', ""),
    ],
)
def test_a_title_is_one_clean_line(said: str, title: str) -> None:
    assert clean_title(said) == title


@given(st.text())
def test_no_title_is_long_or_has_control_characters(said: str) -> None:
    title = clean_title(said)
    assert len(title) <= MAX_TITLE
    assert title.isprintable()
    assert title == title.strip()


def test_only_a_script_asks_the_scripted_model_for_a_title() -> None:
    assert asks_for_title('```script\n[{"title": "A"}, {"say": "b"}]\n```')
    assert not asks_for_title('```script\n[{"say": "b"}]\n```')
    assert not asks_for_title('{"title": "A"}')
