"""Who is asked about what commands do, by sandbox and approvals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backends.codex.sandbox import choose_sandbox, unasked
from process_agent.core.backend import BackendConfig
from process_agent.io.command_profile import PROFILE


def config(folder: Path, **values: Any) -> BackendConfig:
    given: dict[str, Any] = {
        "agent_name": "codex",
        "working_dir": folder,
        "data_dir": folder / "data",
        "environment": {},
    }
    return BackendConfig(**(given | values))


@pytest.mark.parametrize(
    ("sandbox", "approvals", "available", "policy", "mode"),
    [
        ("workspace-write", "ask", True, "on-request", {"permissions": PROFILE}),
        ("workspace-write", "deny", True, "never", {"permissions": PROFILE}),
        ("read-only", "auto", True, "on-request", {"permissions": PROFILE}),
        ("workspace-write", "ask", False, "untrusted", {"sandbox": "danger-full-access"}),
        ("full-access", "ask", True, "untrusted", {"sandbox": "danger-full-access"}),
        ("full-access", "auto", True, "never", {"sandbox": "danger-full-access"}),
    ],
)
def test_who_is_asked(
    tmp_path: Path, sandbox: str, approvals: str, available: bool, policy: str, mode: dict[str, str]
) -> None:
    chosen = choose_sandbox(config(tmp_path, sandbox=sandbox, approvals=approvals), available=available)
    assert (chosen.approval_policy, dict(chosen.thread)) == (policy, mode)


def test_files_of_rules_are_counted_where_every_command_should_ask(tmp_path: Path) -> None:
    work = tmp_path / "project" / "inner"
    for folder in (tmp_path / "home", tmp_path / "project" / ".codex", work / ".codex"):
        (folder / "rules").mkdir(parents=True)
        (folder / "rules" / "a.rules").touch()
        (folder / "rules" / "a.md").touch()
    given = config(tmp_path, working_dir=work, sandbox="full-access")
    (text,) = unasked(choose_sandbox(given), tmp_path / "home", work)
    assert text.startswith(f"3 files of Codex rules, like {tmp_path}/home/rules/a.rules, ")
    assert unasked(choose_sandbox(given), work, tmp_path / "elsewhere") == []
    assert unasked(choose_sandbox(config(tmp_path, working_dir=work)), tmp_path / "home", work) == []
