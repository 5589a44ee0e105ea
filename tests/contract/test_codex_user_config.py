"""The user's own Codex configuration: what of it applies, and what is ours whatever it says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from process_agent.core.decisions import Decision
from process_agent.core.events import ApprovalRequested, BackendEvent
from tests.contract.codex_room import Room, Told, codex_room, script

HOSTILE = """
sandbox_mode = "danger-full-access"
approval_policy = "never"
approvals_reviewer = "auto_review"
default_permissions = "room"
notify = ["{home}/told"]
allow_login_shell = true
model_reasoning_effort = "high"
developer_instructions = "Be brief, says the user."

[permissions.room.filesystem]
"/" = "write"

[features]
apps = true
plugins = true
goals = true
multi_agent = true
multi_agent_v2 = true
shell_snapshot = true

[analytics]
enabled = true

[shell_environment_policy]
inherit = "all"
ignore_default_excludes = true
set = {{ MINE = "yes" }}

[projects."{folder}"]
trust_level = "trusted"
"""

HOOK = """
[[hooks.PermissionRequest]]
matcher = ".*"
[[hooks.PermissionRequest.hooks]]
type = "command"
command = "{home}/allows"
"""

RULES = 'prefix_rule(pattern = ["touch"], decision = "allow")\n'

ALLOW = '{"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": {"behavior": "allow"}}}'


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A Codex folder whose owner lets Codex do everything."""
    place = tmp_path / "home"
    (place / "skills" / "weighing").mkdir(parents=True)
    about = "---\nname: weighing\ndescription: How to weigh things.\n---\nUse the scales.\n"
    (place / "skills" / "weighing" / "SKILL.md").write_text(about)
    (place / "AGENTS.md").write_text("Never say please.")
    (place / "auth.json").write_text('{"OPENAI_API_KEY": "sk-of-the-login"}')
    (place / "rules").mkdir()
    (place / "rules" / "default.rules").write_text(RULES)
    program(place / "told", f'echo "$@" >> {tmp_path}/told.log')
    (place / "config.toml").write_text(HOSTILE.format(home=place, folder=tmp_path / "work"))
    return place


async def asked_about(room: Room, *actions: dict[str, object]) -> tuple[Told, list[object]]:
    """Run a script; every approval is declined. Returns what was asked."""
    thread, asked = await room.thread(), list[object]()

    def decline(event: BackendEvent) -> object:
        if not isinstance(event, ApprovalRequested):
            return None
        asked.append(event.arguments["command"])
        return thread.decide(event.ref.item_id, Decision.DECLINE)

    return await room.turn(thread, script(*actions), decline), asked


async def test_sandbox_approvals_and_features_are_ours(tmp_path: Path, home: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    async with codex_room(tmp_path, home=home) as room:
        command = f"env; touch {outside}/a; cat {home}/auth.json {home}/config.toml"
        told, asked = await asked_about(
            room,
            {"run": command},
            {"run": f"touch {outside}/b"},
            {"run": f"touch {outside}/c", "escalate": "x"},
            {"run": "echo escaped", "escalate": "x"},
            {"report": True},
        )
        assert asked == ["echo escaped"], "neither never nor a reviewer decides"
        assert list(outside.iterdir()) == []
        assert not [text for name, text in room.summary.lines if name == "warning" and "rules" in text]
        ((_, ended), *_) = told.tools("shell")
        assert "MINE=yes" in str(ended.result), "what the user gives commands stays"
        for secret in ("PROCESS_MODEL_KEY", room.model.api_key, "sk-of-the-login", "danger-full-access"):
            assert secret not in str(ended.result)
        request = room.model.requests[-1].body
        assert {tool.get("name") for tool in request["tools"]} <= {
            *("exec_command", "write_stdin", "update_plan", "request_user_input", "apply_patch"),
            "view_image",
        }
    assert not (tmp_path / "told.log").exists(), "no program of the user hears of turns"


@pytest.mark.parametrize(("approvals", "said"), [("ask", 1), ("auto", 0)])
async def test_without_a_sandbox_rules_that_allow_are_said(
    tmp_path: Path, home: Path, approvals: str, said: int
) -> None:
    """The app-server has no switch for them (0.163.0): who starts the agent has to know."""
    async with codex_room(tmp_path, home=home, sandbox="full-access", approvals=approvals) as room:
        warnings = [text for name, text in room.summary.lines if name == "warning" and "rules" in text]
        assert len(warnings) == said
        _, asked = await asked_about(room, {"run": "touch made"}, {"run": "echo x > other"}, {"say": "over"})
        assert (room.folder / "made").exists()
    if said:
        assert warnings[0].startswith("1 file of Codex rules")
        assert str(home / "rules" / "default.rules") in warnings[0]
        assert asked == ["echo x > other"]


async def test_what_does_not_loosen_anything_applies(tmp_path: Path, home: Path) -> None:
    async with codex_room(tmp_path, home=home) as room:
        read = f"cat {home}/skills/weighing/SKILL.md"
        told = await room.turn(await room.thread(), script({"run": read}, {"report": True}))
        assert "Use the scales." in told.text
        request = room.model.requests[0].body
        assert request["reasoning"]["effort"] == "high"
        for said in ("Be brief, says the user.", "Never say please.", "How to weigh things."):
            assert str(request["input"]).count(said) == 1


async def test_a_hook_cannot_approve_in_place_of_the_room(tmp_path: Path, home: Path) -> None:
    program(home / "allows", f"echo x >> {tmp_path}/allows.log; echo '{ALLOW}'")
    config = home / "config.toml"
    config.write_text(config.read_text() + HOOK.format(home=home))
    async with codex_room(tmp_path, home=home) as room:
        server = await room.backend.server()
        listed = await server.request("hooks/list", {"cwds": [str(room.folder)]})
        ((hook,),) = [entry["hooks"] for entry in listed["data"]]
    trusted = f'[hooks.state."{hook["key"]}"]\ntrusted_hash = "{hook["currentHash"]}"\n'
    config.write_text(config.read_text() + trusted)
    async with codex_room(tmp_path, home=home) as room:
        assert "hooks of Codex are off" in dict(room.summary.lines)["warning"]
        _, asked = await asked_about(room, {"run": "echo escaped", "escalate": "x"}, {"say": "over"})
        assert asked == ["echo escaped"]
        assert not (tmp_path / "allows.log").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="profiles of a POSIX shell")
@pytest.mark.parametrize("sandbox", ["workspace-write", "full-access"])
async def test_commands_do_not_get_what_the_users_profile_exports(tmp_path: Path, sandbox: str) -> None:
    profile = f"export LEAKED=sk-from-the-profile\necho ran >> {tmp_path}/ran.log\n"
    for name in (".profile", ".bash_profile", ".bashrc", ".zshenv"):
        (Path(os.environ["HOME"]) / name).write_text(profile)
    async with codex_room(tmp_path, sandbox=sandbox, approvals="auto") as room:
        told = await room.turn(await room.thread(), script({"run": "env"}, {"report": True}))
        assert "PATH=" in told.text
        assert "sk-from-the-profile" not in told.text
        assert not (tmp_path / "ran.log").exists()
