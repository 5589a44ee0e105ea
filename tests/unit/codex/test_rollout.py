"""What a resumed thread's record tells of a turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backends.codex.rollout import Record


def line(kind: str, **payload: Any) -> str:
    return json.dumps({"type": kind, "payload": payload}) + "\n"


def began(turn: str) -> str:
    return line("event_msg", type="task_started", turn_id=turn)


def test_items_of_the_turn_once_each_and_only_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    path.write_text(began("old") + line("response_item", type="old"))
    record = Record(path)
    assert record.items("t") == []
    with path.open("a") as file:
        file.write(line("response_item", type="told") + began("t") + line("response_item", type="a"))
        file.write("broken\n[]\n" + line("response_item", type="b")[:10])
        file.flush()
        assert record.items("t") == [{"type": "a"}]
        file.write(line("response_item", type="b")[10:] + began("u") + line("response_item", type="c"))
        file.flush()
        assert record.items("t") == [{"type": "b"}]
        assert record.items("t") == []


def test_a_record_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert Record(None).items("t") == []
    record = Record(tmp_path / "none")
    assert record.items("t") == []
    (tmp_path / "none").write_text(began("t") + line("response_item", type="a"))
    assert record.items("t") == [{"type": "a"}]
