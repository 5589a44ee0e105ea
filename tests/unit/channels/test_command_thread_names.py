"""Ids of threads between agent and channel program."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from process_agent.channels.command import thread_names
from process_agent.channels.command.thread_names import ThreadNames

FOLDER = "dataset://agents/bot/threads"


def names() -> ThreadNames:
    return ThreadNames(FOLDER, lambda: datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (f"{FOLDER}/a", f"{FOLDER}/a"),
        (f"{FOLDER}/a.thread", f"{FOLDER}/a"),
        (f"dataset://{FOLDER}/a.thread", f"{FOLDER}/a"),
        (".threads/bot/4f-a.thread", f"{FOLDER}/threads/bot/4f-a"),
        ("slack/C 1-9", f"{FOLDER}/slack/C-1-9"),
        ("daily/{YYYY}", f"{FOLDER}/daily/2026"),
        ("tmp://x/y", "tmp://x/y"),
        ("../other", "../other"),
        ("", ""),
        ("dataset://agents/other/threads/a", "dataset://agents/other/threads/a"),
    ],
)
def test_a_programs_id_is_a_path_and_comes_back_as_it_was(theirs: str, ours: str) -> None:
    threads = names()
    assert threads.ours({"type": "x", "thread_id": theirs}) == {"type": "x", "thread_id": ours}
    assert threads.theirs({"thread_id": ours, "n": 1}) == {"thread_id": theirs, "n": 1}


def test_other_messages_stay_as_they_are() -> None:
    threads = names()
    assert threads.ours({"type": "x"}) == {"type": "x"}
    assert threads.ours({"thread_id": 7}) == {"thread_id": 7}
    assert threads.theirs({"thread_id": f"{FOLDER}/unseen"}) == {"thread_id": f"{FOLDER}/unseen"}
    assert threads.theirs({"type": "x"}) == {"type": "x"}


def test_the_oldest_ids_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_names, "MAX_NAMES", 2)
    threads = names()
    for number in range(3):
        threads.ours({"thread_id": f"t{number}"})
    assert threads.theirs({"thread_id": f"{FOLDER}/t0"}) == {"thread_id": f"{FOLDER}/t0"}
    assert threads.theirs({"thread_id": f"{FOLDER}/t2"}) == {"thread_id": "t2"}
