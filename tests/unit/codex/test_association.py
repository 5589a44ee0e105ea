"""What is kept of Codex with a thread of the room, and what of it is believed."""

from __future__ import annotations

from typing import Any

import pytest

from backends.codex.association import Association, fixed_key, read_association, resume_command
from process_agent.core.ids import ThreadId, TurnId

ID = "01a1f8ff-4044-7c11-91a2-56de6427ab76"
KEPT = Association(ID, "/data/codex/bot", ThreadId("dataset://t"), "key", TurnId("u1"))


@pytest.mark.parametrize("telling", [False, True])
def test_it_comes_back_as_it_was_kept(telling: bool) -> None:
    kept = KEPT.at(TurnId("u2"), telling=telling)
    assert read_association(kept.state()) == kept


@pytest.mark.parametrize(
    "change",
    [
        {"thread": f"{ID}; rm -rf ~"},
        {"thread": f"{ID}\n"},
        {"thread": None},
        {"home": "relative"},
        {"home": "/a\u001b[31m"},
        {"room": 1},
        {"fixed": None},
        {"turn": []},
    ],
)
def test_what_somebody_else_wrote_is_not_believed(change: dict[str, Any]) -> None:
    assert read_association({**KEPT.state(), **change}) is None
    assert read_association(None) is None


def test_the_command_names_the_home_unless_it_is_the_users_own() -> None:
    assert resume_command(KEPT, {"HOME": "/home/ana"}) == f"CODEX_HOME=/data/codex/bot codex resume {ID}"
    assert resume_command(KEPT, {"CODEX_HOME": "/data/codex/bot"}) == f"codex resume {ID}"
    odd = Association(ID, "/a b/$(x)", ThreadId("t"), "key", TurnId("u1"))
    assert resume_command(odd, {"HOME": "/home/ana"}) == f"CODEX_HOME='/a b/$(x)' codex resume {ID}"
    own = Association(ID, "/home/ana/.codex", ThreadId("t"), "key", TurnId("u1"))
    assert resume_command(own, {"HOME": "/home/ana"}) == f"codex resume {ID}"


def test_what_is_fixed_when_a_thread_is_made() -> None:
    settings: dict[str, Any] = {"developerInstructions": "x", "dynamicTools": [{"b": 1, "a": 2}], "cwd": "/a"}
    same = {**settings, "cwd": "/b", "dynamicTools": [{"a": 2, "b": 1}]}
    assert fixed_key("p", settings) == fixed_key("p", same)
    assert fixed_key("q", settings) != fixed_key("p", settings)
    assert fixed_key("p", {**settings, "developerInstructions": "y"}) != fixed_key("p", settings)
