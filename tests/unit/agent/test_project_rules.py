"""`AGENTS.md` for language models: which files, in which order, how much, and whose."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from process_agent.agent import project_rules as project
from process_agent.agent.project_rules import folders, project_rules
from process_agent.agent.standing_rules import RulesOptions, StandingRules
from process_agent.core.rules import Rules


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder two levels below the root of a repository."""
    folder = tmp_path / "repo" / "src" / "app"
    folder.mkdir(parents=True)
    (tmp_path / "repo" / ".git").mkdir()
    (tmp_path / "AGENTS.md").write_text("above the repository")
    return folder


async def said(folder: Path) -> list[str]:
    """The parts, without the line above them."""
    text = (await project_rules(folder)).text
    return [] if text is None else text.split("\n\n")[1:]


async def test_files_from_the_root_down_one_of_each_folder(work: Path) -> None:
    repo = work.parent.parent
    assert folders(work) == [repo, repo / "src", work]
    (repo / "AGENTS.md").write_text("of the root\n")
    (work.parent / "AGENTS.md").write_text("  \n")
    (work / "AGENTS.md").write_text("of the folder")
    assert await said(work) == ["of the root", "of the folder"]
    (work / "AGENTS.override.md").write_text("instead")
    assert await said(work) == ["of the root", "instead"]
    (repo / "AGENTS.md").write_text("edited")
    assert await said(work) == ["edited", "instead"]


async def test_without_a_repository_only_the_folder_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "ROOT_MARK", ".git-of-this-test")
    (tmp_path / "AGENTS.md").write_text("above")
    folder = tmp_path / "work"
    folder.mkdir()
    assert folders(folder) == [folder]
    assert (await project_rules(folder)).text is None
    (folder / ".git-of-this-test").write_text("gitdir: elsewhere")  # a work tree has a file
    (folder / "AGENTS.md").write_text("mine")
    assert await said(folder) == ["mine"]


async def test_what_is_more_than_the_limit_is_cut_and_said(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "MAX_BYTES", 10)
    repo = work.parent.parent
    (repo / "AGENTS.md").write_text("123456")
    (work.parent / "AGENTS.md").write_text("abcö more")
    (work / "AGENTS.md").write_text("left out")
    found = await project_rules(work)
    assert found.text is not None
    assert found.text.split("\n\n")[1:] == ["123456", "abc"], "no half of a character"
    assert found.cut == work.parent / "AGENTS.md"
    assert "more than 10 bytes" in found.news()[0]


async def test_no_link_is_followed_and_nothing_is_waited_for(work: Path, tmp_path: Path) -> None:
    secret = tmp_path / "auth.json"
    secret.write_text("the login")
    (work / "AGENTS.override.md").symlink_to(secret)
    (work / "AGENTS.md").write_text("not reached")
    os.mkfifo(work.parent / "AGENTS.md")
    found = await project_rules(work)
    assert found.text is None
    assert [text for text in found.news() if "left out" in text] == list(found.unread)
    assert len(found.unread) == 2
    assert "the login" not in str(found)


async def test_a_file_of_another_user_is_left_out(work: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    (work.parent / "AGENTS.md").write_text("of a stranger")
    os.chown(work.parent / "AGENTS.md", 4711, 4711)
    (work / "AGENTS.md").write_text("mine")
    found = await project_rules(work)
    assert await said(work) == ["mine"]
    assert "belongs to another user" in found.unread[0]


async def test_they_come_after_the_rules_and_trouble_is_said_once(work: Path) -> None:
    standing = StandingRules(RulesOptions(Rules(("Be kind.",))), None)
    (work / "AGENTS.md").write_text("Use tabs.")
    assert (await standing.read(None)).text == "Be kind."
    there = await standing.read(None, work)
    assert there.text is not None
    assert (there.text.startswith("Be kind.\n\n"), there.text.endswith("\n\nUse tabs.")) == (True, True)
    (work / "AGENTS.md").write_bytes(b"x" * 40_000)
    assert len((await standing.read(None, work)).news) == 1
    assert (await standing.read(None, work)).news == ()
    (work / "AGENTS.md").unlink()
    gone = await standing.read(None, work)
    assert (gone.text, gone.news) == ("Be kind.", ())
