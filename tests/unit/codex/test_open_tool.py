"""What is shown of a tool's output while it runs does not depend on how it was cut into pieces."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from backends.codex import tools
from backends.codex.tools import CUT_NOTE, OpenTool
from process_agent.core.events import ToolLog, ToolRef
from process_agent.core.ids import ItemId


def shown(pieces: list[str]) -> str:
    tool = OpenTool(ToolRef(ItemId("i"), "codex", "shell"), {})
    events = [event for piece in pieces for event in tool.log(piece)]
    return "".join(line.text for event in events if isinstance(event, ToolLog) for line in event.lines)


@given(st.lists(st.text("ab", max_size=6), max_size=12))
def test_it_is_cut_at_the_limit(pieces: list[str]) -> None:
    whole = "".join(pieces)
    with patch.object(tools, "MAX_TEXT", 10):
        assert shown(pieces) == (whole if len(whole) <= 10 else whole[:10] + CUT_NOTE)
