"""Patches of a language model: real files, the real Codex as the judge of the format, ways out of bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from codex_cli_bin import bundled_codex_path

from process_agent.core.decisions import Decision
from process_agent.core.events import ApprovalRequested, ToolStarted
from tests.contract.codex_room import Told, script
from tests.fakes.llm_room import MODELS
from tests.fakes.shell_house import outcome, shell_house


def patch(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def shown(told: Told) -> dict[str, object]:
    """What people saw of the patch last."""
    return dict([e for e in told.of(ToolStarted) if e.ref.tool == "apply_patch"][-1].arguments)


def program(*words: str, folder: Path, given: str = "") -> str:
    """What a program prints."""
    home = {"CODEX_HOME": str(folder.parent), "PATH": os.environ["PATH"]}
    run = subprocess.run(words, cwd=folder, env=home, input=given, capture_output=True, text=True, check=True)
    return run.stdout


CODE = "import os\n\n\ndef greet():\n    name = 'world'\n    print('hi')\n\n\ndef leave():\n    print('hi')\n"
PATCH = patch(
    "*** Add File: docs/new.md",
    "+# New",
    "+",
    "+text",
    "*** Update File: src/a.py",
    "*** Move to: src/b.py",
    "@@ def leave():",
    "-    print('hi')",
    "+    print('bye')",
    "*** Update File: run.sh",
    "@@",
    " #!/bin/sh",
    "-echo one",
    "+echo two",
    "*** Delete File: gone.txt",
)


def before(folder: Path) -> None:
    (folder / "src").mkdir(parents=True)
    (folder / "src/a.py").write_text(CODE)
    (folder / "run.sh").write_text("#!/bin/sh\necho one\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "gone.txt").write_text("old\n")


@pytest.mark.parametrize("dialect", MODELS)
async def test_a_patch_does_what_codex_does_with_it_and_is_shown_as_a_diff(
    tmp_path: Path, dialect: str
) -> None:
    theirs = tmp_path / "theirs"
    before(theirs)
    said = program(str(bundled_codex_path()), "--codex-run-as-apply-patch", PATCH, folder=theirs)
    async with shell_house(tmp_path) as house:
        before(house.folder)
        told = await house.turn(script({"patch": PATCH}, {"report": True}), model=MODELS[dialect])
        assert files(house.folder) == files(theirs)
        assert os.access(house.folder / "run.sh", os.X_OK)
        assert not told.of(ApprovalRequested)
        assert told.text.splitlines()[0] == said.splitlines()[0]
        assert sorted(told.text.split("\n")[1:]) == sorted(said.strip().split("\n")[1:])
        (start, end) = told.tools("apply_patch")[0]
        assert (start.ref.toolkit, end.error) == ("shell", None)
        assert outcome(told, "apply_patch") == {"text": "Changed docs/new.md, src/a.py, run.sh, gone.txt."}
        diff = str(shown(told)["patch"])
        kinds = [change["kind"] for change in shown(told)["changes"]]  # type: ignore[attr-defined]
        assert kinds == ["add", "move", "update", "delete"]
    again = tmp_path / "again"
    before(again)
    program("git", "init", "-q", folder=again)
    program("git", "apply", "-", folder=again, given=diff)
    assert {name: data for name, data in files(again).items() if ".git/" not in name} == files(theirs)


async def test_what_does_not_fit_changes_nothing_and_the_model_reads_why(tmp_path: Path) -> None:
    wrong = {
        "not in src/a.py": patch("*** Add File: x", "+x", "*** Update File: src/a.py", "@@", "-no", "+y"),
        "There is no file none.txt": patch("*** Update File: none.txt", "@@", "-a", "+b"),
        "There is no file none": patch("*** Delete File: none"),
        "names ./run.sh twice": patch("*** Delete File: run.sh", "*** Add File: ./run.sh", "+x"),
        "is no text in UTF-8": patch("*** Update File: binary", "@@", "-a", "+b"),
        "src is a folder": patch("*** Delete File: src"),
        "first line of a patch": "hello",
        "can change 200 files": patch(*(f"*** Delete File: {n}" for n in range(201))),
    }
    async with shell_house(tmp_path) as house:
        before(house.folder)
        (house.folder / "binary").write_bytes(b"\xff\xfe\x00")
        unchanged = files(house.folder)
        for said, text in wrong.items():
            told = await house.turn(script({"patch": text}))
            assert said in outcome(told, "apply_patch")["error"]
            assert files(house.folder) == unchanged


async def test_line_endings_of_windows_stay(tmp_path: Path) -> None:
    async with shell_house(tmp_path) as house:
        (house.folder / "dos.txt").write_bytes(b"one\r\ntwo\r\n")
        await house.turn(script({"patch": patch("*** Update File: dos.txt", "@@", " one", "-two", "+2")}))
        assert (house.folder / "dos.txt").read_bytes() == b"one\r\n2\r\n"


SECRET = "the-secret-that-nobody-may-read"


@pytest.mark.skipif(sys.platform != "linux", reason="resolves links as Linux does")
async def test_a_patch_out_of_bounds_asks_and_nothing_is_read_before(tmp_path: Path) -> None:
    """By name, through links, into what programs run, and into logins below the working folder."""
    outside, home = tmp_path / "outside", Path(os.environ["HOME"])
    outside.mkdir()
    (outside / "secret").write_text(f"{SECRET}\n")
    (home / ".ssh").mkdir()
    (home / ".ssh/id").write_text(f"{SECRET}\n")
    async with shell_house(tmp_path) as house:
        (house.folder / "out").symlink_to(outside)
        (house.folder / "secret").symlink_to(outside / "secret")
        (house.folder / "inside").mkdir()
        (house.folder / "alias").symlink_to("inside")
        names = [
            str(outside / "secret"),
            "../outside/secret",
            "out/secret",
            "secret",
            "inside/../../outside/secret",
            str(home / ".ssh/id"),
        ]
        for name in names:
            for line in (SECRET, "a guess"):
                text = patch(f"*** Update File: {name}", "@@", f"-{line}", "+x")
                told = await house.turn(script({"patch": text}), decide=Decision.DECLINE)
                (asked,) = told.of(ApprovalRequested)
                assert asked.arguments == {"patch": text}, "as the model wrote it: nothing was read"
                assert outcome(told, "apply_patch")["code"] == "declined"
        for name in (
            ".git/hooks/pre-commit",
            ".codex/config.toml",
            ".agents/x",
            "sub/.git/config",
            "out/new",
        ):
            add = patch(f"*** Add File: {name}", "+x")
            told = await house.turn(script({"patch": add}), decide=Decision.DECLINE)
            assert told.of(ApprovalRequested), name
        assert (outside / "secret").read_text() == (home / ".ssh/id").read_text() == f"{SECRET}\n"
        assert not (house.folder / ".git").exists()
        told = await house.turn(script({"patch": patch("*** Add File: alias/x", "+x")}))
        assert not told.of(ApprovalRequested), "a link that stays inside"
        assert (house.folder / "inside/x").read_text() == "x\n"


async def test_what_was_allowed_is_done_and_for_the_session_for_the_same_files(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_text("one\n")
    change = patch(f"*** Update File: {outside}/a", "@@", "-one", "+two")
    async with shell_house(tmp_path) as house:
        told = await house.turn(script({"patch": change}), decide=Decision.ACCEPT_FOR_SESSION)
        assert (outside / "a").read_text() == "two\n"
        assert "-one\n+two\n" in str(shown(told)["patch"])
        back = patch(f"*** Update File: {outside}/a", "@@", "-two", "+one")
        told = await house.turn(script({"patch": back}))
        assert not told.of(ApprovalRequested)
        assert (outside / "a").read_text() == "one\n"
        told = await house.turn(script({"patch": patch(f"*** Add File: {outside}/b/c", "+x")}))
        assert told.of(ApprovalRequested)
        hooks = patch("*** Add File: .git/hooks/pre-commit", "+x")
        told = await house.turn(script({"patch": hooks}), decide=Decision.ACCEPT)
        assert (house.folder / ".git/hooks/pre-commit").read_text() == "x\n"


async def test_read_only_asks_for_every_patch(tmp_path: Path) -> None:
    add = script({"patch": patch("*** Add File: a", "+x")})
    async with shell_house(tmp_path, sandbox="read-only") as house:
        told = await house.turn(add, decide=Decision.DECLINE)
        assert [asked.reason for asked in told.of(ApprovalRequested)] == ["The sandbox is read-only."]
        assert not (house.folder / "a").exists()
        await house.turn(add, decide=Decision.ACCEPT)
        assert (house.folder / "a").read_text() == "x\n"


async def test_a_file_that_changed_while_people_thought_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("one\n")
    change = patch(f"*** Update File: {outside}", "@@", "-one", "+two")

    def decide(_: ApprovalRequested) -> Decision:
        outside.write_text("three\n")
        return Decision.ACCEPT

    async with shell_house(tmp_path) as house:
        told = await house.turn(script({"patch": change}), decide=decide)
        assert "not in" in outcome(told, "apply_patch")["error"]
        assert outside.read_text() == "three\n"
