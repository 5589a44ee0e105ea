"""What is shown of a call while the model writes its arguments."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.events import ToolRef
from process_agent.core.ids import ItemId
from process_agent.viewer.items import ToolItem
from process_agent.viewer.terminal import tools
from process_agent.viewer.terminal.written import patch_so_far, written_texts

PATCH = "*** Begin Patch\n*** Add File: docs/new.md\n+one\n+two\n*** Update File: b.py\n@@\n-old\n+ne"


@given(st.dictionaries(st.text(), st.text(), max_size=4), st.data())
def test_any_part_of_the_json_tells_a_part_of_the_texts(members: dict[str, str], data: st.DataObject) -> None:
    text = json.dumps(members, ensure_ascii=data.draw(st.booleans()))
    found = written_texts(text[: data.draw(st.integers(0, len(text)))])
    whole = written_texts(text)
    assert whole == members
    for name, value in found.items():
        assert members[name].startswith(value.rstrip("\ufffd"))


@given(st.text())
def test_whatever_comes_is_no_reason_to_fail(text: str) -> None:
    written_texts(text)
    patch_so_far(text, 80)


def test_what_is_no_text_ends_it() -> None:
    assert written_texts('{"a": "1", "b": [1], "c": "2"}') == {"a": "1"}
    assert written_texts('{"a": "x\\') == {"a": "x"}
    assert written_texts('{"a": "\\u00') == {"a": ""}


def test_a_patch_that_is_written_says_file_lines_and_the_last_of_them() -> None:
    ref = ToolRef(ItemId("i"), "codex", "apply_patch", "codex")
    item = ToolItem(ref)
    for piece in json.dumps({"input": PATCH})[:-2].split(" "):
        item.written.add(piece + " ")
    assert tools.title(item, 80) == "writing b.py and 1 more +3 -1 +ne"
    item.arguments = {"patch": "whole"}
    assert "writing" not in tools.title(item, 80)


def test_a_command_that_is_written_is_shown_as_far_as_it_goes() -> None:
    item = ToolItem(ToolRef(ItemId("i"), "codex", "shell", "codex"))
    item.written.add('{"command": "pytest -q te')
    assert tools.title(item, 80) == "$ pytest -q te"
