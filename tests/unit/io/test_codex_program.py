"""Which Codex is used, and what is said where none can be: what is wrong, where, and what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from process_agent.errors import BackendError
from process_agent.io import codex_program
from process_agent.io.codex_program import OVERRIDE, check_version, find, locate

SAYS_IT = "echo codex-cli 0.163.0"
WHEEL = "codex_cli_bin"
INSTALL = "pip install 'process-agent[codex]'"


def program(folder: Path, text: str = SAYS_IT, *, mode: int = 0o755) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "codex"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def wheel(monkeypatch: pytest.MonkeyPatch, path: Path | None) -> None:
    """The wheel has this program, or is not installed."""
    made = SimpleNamespace(bundled_codex_path=lambda: path, bundled_path_dir=lambda: None)
    monkeypatch.setitem(sys.modules, WHEEL, made if path else None)


async def refused(environment: dict[str, str], folder: Path) -> BackendError:
    with pytest.raises(BackendError) as error:
        await locate(environment, folder)
    assert error.value.exit_code == 5
    return error.value


def test_the_setting_comes_first_then_the_wheel_then_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, bundled, on_path = (program(tmp_path / name) for name in ("mine", "wheel", "path"))
    there = {"PATH": str(on_path.parent)}
    wheel(monkeypatch, bundled)
    assert find({**there, OVERRIDE: str(mine)}) == (mine, None)
    assert find(there) == (bundled, None)
    wheel(monkeypatch, None)
    assert find(there) == (on_path, None)
    on_path.chmod(0o644)
    with pytest.raises(BackendError) as error:
        find(there)
    assert str(error.value) == f"The Codex program is not installed. Install it with: {INSTALL}."


def test_a_path_is_one_from_where_the_agent_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin")
    monkeypatch.chdir(tmp_path)
    assert find({OVERRIDE: "bin/codex"}) == (tmp_path / "bin" / "codex", None)


def test_a_wheel_that_is_damaged_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise FileNotFoundError("bin/codex is missing")

    damaged = ModuleType(WHEEL)
    damaged.bundled_codex_path = missing  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, WHEEL, damaged)
    with pytest.raises(BackendError, match=r"damaged: bin/codex is missing. Install it with") as error:
        find({"PATH": os.defpath})
    assert error.value.fix == codex_program.INSTALL


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo codex-cli 0.162.9", "Codex 0.162.9 at {path} is too old: 0.163.0 or newer is needed."),
        ("echo hello", "{path} does not say its version; is it Codex? It said: 'hello'."),
        ("echo it is full. >&2; exit 3", "{path} --version ended with 3: it is full."),
    ],
)
async def test_one_that_cannot_be_used_says_why(tmp_path: Path, text: str, said: str) -> None:
    path = program(tmp_path / "bin", text)
    error = await refused({OVERRIDE: str(path)}, tmp_path)
    assert error.message == said.format(path=path)
    assert error.fix is not None
    assert INSTALL in error.fix


async def test_one_that_never_says_its_version_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codex_program, "_TIMEOUT", 0.2)
    error = await refused({OVERRIDE: str(program(tmp_path / "bin", "exec sleep 60"))}, tmp_path)
    assert "--version did not end within 0.2 s" in error.message


async def test_what_is_no_file_or_may_not_be_run_says_so(tmp_path: Path) -> None:
    missing = await refused({OVERRIDE: "/nowhere/codex"}, tmp_path)
    assert missing.message == f"{OVERRIDE} names /nowhere/codex, and there is no such file."
    path = program(tmp_path / "bin", mode=0o644)
    plain = await refused({OVERRIDE: str(path)}, tmp_path)
    assert plain.message == f"{OVERRIDE} names {path}, which may not be executed."
    assert (await refused({OVERRIDE: str(tmp_path)}, tmp_path)).message.endswith("there is no such file.")
    for error in (missing, plain):
        assert f"unset {OVERRIDE}" in str(error.fix)


async def test_one_of_another_kind_says_so(tmp_path: Path) -> None:
    """Executable, and no program of this machine."""
    path = tmp_path / "codex"
    path.write_bytes(b"\x00\x01\x02")
    path.chmod(0o755)
    error = await refused({OVERRIDE: str(path)}, tmp_path)
    assert str(path) in error.message
    assert INSTALL in str(error.fix)


def test_versions() -> None:
    assert check_version("codex-cli 0.163.0", Path("x")) == (0, 163, 0)
    assert check_version("process_agent/1.0.2 (Debian)", Path("x")) == (1, 0, 2)
