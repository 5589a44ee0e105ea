"""`AGENTS.md`: which files, in which order, how much, whose, and what a command cannot bring in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from process_agent.agent.standing_rules import RulesOptions, StandingRules
from process_agent.core.rules import Rules
from process_agent.io import project_docs as module
from process_agent.io.project_docs import MAX_BYTES, project_docs


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder two levels below the root of a repository."""
    folder = tmp_path / "repo" / "src" / "app"
    folder.mkdir(parents=True)
    (tmp_path / "repo" / ".git").mkdir()
    (tmp_path / "AGENTS.md").write_text("above the project")
    return folder


def said(folder: Path) -> list[str]:
    """The texts, without the names of their folders."""
    return project_docs(folder).text.split("\n\n")[1::2]


def test_files_from_the_root_down_one_of_each_folder(work: Path) -> None:
    repo = work.parent.parent
    assert project_docs(work) == module.ProjectDocs()
    (repo / "CLAUDE.md").write_text("of the root\n")
    (repo / "AGENTS.md").symlink_to("CLAUDE.md")
    (work.parent / "AGENTS.md").write_text("  \n")
    (work / "AGENTS.md").write_text("of the folder")
    assert said(work) == ["of the root", "of the folder"]
    assert project_docs(work).text.startswith(f"# Project instructions in {repo}\n\n")
    (work / "AGENTS.override.md").write_text("instead")
    assert said(work) == ["of the root", "instead"]
    (repo / "CLAUDE.md").write_text("edited")
    assert said(work) == ["edited", "instead"]
    assert project_docs(work).news == ()


def test_without_a_repository_only_the_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOT_MARK", ".git-of-this-test")
    (tmp_path / "AGENTS.md").write_text("above")
    folder = tmp_path / "work"
    folder.mkdir()
    assert said(folder) == []
    (folder / ".git-of-this-test").write_text("gitdir: elsewhere")  # a work tree has a file
    (folder / "AGENTS.md").write_text("mine")
    assert said(folder) == ["mine"]
    assert said(tmp_path / "gone") == []


def test_what_is_more_than_the_limit_is_cut_and_said(work: Path) -> None:
    repo = work.parent.parent
    (repo / "AGENTS.md").write_text("1" * (MAX_BYTES - 3))
    (work.parent / "AGENTS.md").write_text("abcd")
    (work / "AGENTS.md").write_text("left out")
    found = project_docs(work)
    assert said(work)[1:] == ["abc"]
    assert [text.partition(":")[2] for text in found.news] == [
        f" that of {work.parent} is cut.",
        f" that of {work} is cut.",
    ]


def test_no_link_leads_out_and_nothing_is_waited_for(work: Path, tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text("the login")
    (tmp_path / "secret.md").write_text("the login")
    (work / "AGENTS.override.md").symlink_to(tmp_path / "secret.md")
    (work.parent / "AGENTS.md").symlink_to(tmp_path / "auth.json")
    os.mkfifo(work.parent.parent / "AGENTS.md")
    found = project_docs(work)
    assert found.text == ""
    assert [text.endswith("or to what is no Markdown.") for text in found.news] == [True, True]
    assert "the login" not in str(found)


def test_a_file_of_another_user_is_left_out(work: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    (work.parent / "AGENTS.md").write_text("of a stranger")
    os.chown(work.parent / "AGENTS.md", 4711, 4711)
    (work / "AGENTS.md").write_text("mine")
    assert said(work) == ["mine"]
    assert "belongs to another user" in project_docs(work).news[0]


async def test_they_come_after_the_rules_and_trouble_is_said_once(work: Path) -> None:
    standing = StandingRules(RulesOptions(Rules(("Be kind.",))), None)
    (work / "AGENTS.md").write_text("Use tabs.")
    assert (await standing.read(None)).text == "Be kind."
    there = await standing.read(None, work)
    assert there.text == f"Be kind.\n\n# Project instructions in {work}\n\nUse tabs."
    (work / "AGENTS.md").write_bytes(b"x" * 40_000)
    assert len((await standing.read(None, work)).news) == 1
    assert (await standing.read(None, work)).news == ()
    (work / "AGENTS.md").unlink()
    gone = await standing.read(None, work)
    assert (gone.text, gone.news) == ("Be kind.", ())
