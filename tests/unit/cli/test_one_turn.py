"""What flags say about one turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.cli.one_turn import MAX_SCHEMA, turn_options
from process_agent.core.requests import TurnOptions
from process_agent.errors import UsageError


def test_effort_and_schema(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text('{"type": "object"}')
    assert turn_options("high", path) == TurnOptions(effort="high", output_schema={"type": "object"})
    assert turn_options(None, None) == TurnOptions()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not JSON"),
        ("[1]", "is not a JSON object"),
        (f'{{"a": "{"x" * MAX_SCHEMA}"}}', "is not a JSON object of at most"),
    ],
)
def test_a_schema_that_is_none(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "schema.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=said):
        turn_options(None, path)


def test_an_effort_is_a_word() -> None:
    with pytest.raises(UsageError, match="--effort cannot be"):
        turn_options("very high", None)
