"""What holds for a turn: flags, and files that are read again each time."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from process_agent.agent import standing_rules
from process_agent.agent.standing_rules import RuleFile, RulesOptions, StandingRules
from process_agent.core.rules import MAX_RULES, Rules
from process_agent.errors import RoomError
from tests.fakes.memory_room import MemoryFiles

ROOM = RuleFile("/agents/rules.txt")
TEXT = RuleFile("how.md", "instructions")


def rules(files: MemoryFiles | None, *named: RuleFile, folder: Path = Path("/nowhere")) -> StandingRules:
    given = Rules(("Be kind.",), {"boards": ("Use tables.",)})
    return StandingRules(RulesOptions(given, named, folder), files)


async def test_edits_apply_at_the_next_turn() -> None:
    files = MemoryFiles({"agents/rules.txt": b"Be brief.\n# no\n[boards]\nUse colours.\n"})
    standing = rules(files, ROOM)
    assert (await standing.read(None)).text == "Be kind.\nBe brief."
    assert (await standing.read("boards")).text == "Be kind.\nUse tables.\nBe brief.\nUse colours."
    files.files["agents/rules.txt"] = b"Be long."
    assert (await standing.read(None)).text == "Be kind.\nBe long."


async def test_a_missing_file_is_said_once_and_picked_up_when_it_is_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    files = MemoryFiles()
    standing = rules(files, ROOM)
    await standing.start()
    assert "/agents/rules.txt cannot be read: it is missing" in caplog.text, "the log says it at the start"
    first = await standing.read(None)
    assert first.text == "Be kind."
    assert first.news == ("The rules in /agents/rules.txt cannot be read: it is missing.",)
    assert (await standing.read(None)).news == ()
    files.files["agents/rules.txt"] = b"Be brief."
    there = await standing.read(None)
    assert (there.text, len(there.news)) == ("Be kind.\nBe brief.", 1)
    del files.files["agents/rules.txt"]
    gone = await standing.read(None)
    assert (gone.text, len(gone.news)) == ("Be kind.", 1)
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.WARNING, logging.INFO, logging.WARNING], "good news is no warning"
    assert "The rules in /agents/rules.txt are read again." in caplog.text


class Flaky(MemoryFiles):
    """Fails when told to."""

    down = False

    async def read(self, path: str, limit: int) -> bytes:
        if self.down:
            raise RoomError("The connection to the room is lost.")
        return await super().read(path, limit)


async def test_what_a_file_said_holds_while_it_cannot_be_read() -> None:
    files = Flaky({"agents/rules.txt": b"Be brief."})
    standing = rules(files, ROOM)
    await standing.read(None)
    files.down = True
    lost = await standing.read(None)
    assert lost.text == "Be kind.\nBe brief."
    assert "holds on" in lost.news[0]
    files.down = False
    for bad, why in ((b"\xff", "not UTF-8"), (b"x" * (MAX_RULES + 1), "has more than")):
        files.files["agents/rules.txt"] = bad
        kept = await standing.read(None)
        assert kept.text == "Be kind.\nBe brief."
        assert why in kept.news[0]


async def test_a_room_that_does_not_answer_stops_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(MemoryFiles):
        async def read(self, path: str, limit: int) -> bytes:
            await asyncio.Event().wait()
            raise AssertionError("it never answers")

    monkeypatch.setattr(standing_rules, "READ_SECONDS", 0.01)
    told = await rules(Silent(), ROOM).read(None)
    assert told.text == "Be kind."
    assert "did not send it" in told.news[0]


async def test_instructions_are_taken_as_they_are_from_the_folder_first(tmp_path: Path) -> None:
    files = MemoryFiles({"how.md": b"From the room."})
    standing = rules(files, TEXT, folder=tmp_path)
    assert (await standing.read(None)).text == "Be kind.\n\nFrom the room."
    (tmp_path / "how.md").write_text("# Title\n\n[x]\nFrom the folder.\n")
    assert (await standing.read(None)).text == "Be kind.\n\n# Title\n\n[x]\nFrom the folder."
    (tmp_path / "how.md").write_bytes(b"x" * (MAX_RULES + 1))
    assert "has more than" in (await standing.read(None)).news[0]


async def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "how.md").symlink_to(tmp_path / "secret")
    told = await rules(None, TEXT, folder=tmp_path / "here").read(None)
    assert told.text == "Be kind."
    assert "in no room that keeps files" in told.news[0]


async def test_nothing_to_say_is_nothing() -> None:
    assert (await StandingRules(RulesOptions(), None).read("boards")).text is None
