"""What `process join` makes of its flags."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from process_agent.cli import INTERRUPTED, join, main
from process_agent.cli.checked import JoinOptions
from process_agent.cli.model_flags import ModelFlags
from process_agent.cli.providers import Providers
from process_agent.cli.rule_flags import read_rules
from process_agent.cli.summary import as_json, as_text
from process_agent.config import Settings
from process_agent.core.rules import MAX_RULES
from process_agent.errors import UsageError


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[JoinOptions]:
    options: list[JoinOptions] = []

    def keep(wanted: JoinOptions, settings: Settings) -> None:
        options.append(wanted)

    monkeypatch.setattr(join, "run", keep)
    return options


def process(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["process", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    code = stopped.value.code
    assert isinstance(code, int)
    return code


def test_the_documented_command(seen: list[JoinOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = "join --room gettingstarted --agent-name codex-agent --channel chat --backend codex"
    assert process(monkeypatch, *typed.split()) == 0
    [options] = seen
    assert (options.room, options.agent_name, options.backends) == (
        "gettingstarted",
        "codex-agent",
        ("codex",),
    )
    assert (options.sandbox, options.approvals, options.providers) == ("workspace-write", "ask", Providers())
    assert options.working_dir == Path.cwd()


def test_flags_repeat_and_keep_their_order(seen: list[JoinOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = "join --room r --agent-name a --channel chat --model codex/a --model codex/b --rule one -r two"
    assert process(monkeypatch, *typed.split()) == 0
    [options] = seen
    assert options.models == ("codex/a", "codex/b")
    assert options.rules.given.general == ("one", "two")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("", "needs a channel"),
        ("--channel smoke", "no channel 'smoke'"),
        ("--channel chat --sandbox none", "--sandbox cannot be 'none'"),
        ("--channel chat --approvals maybe", "--approvals cannot be 'maybe'"),
        ("--channel chat --provider magic", "--provider cannot be 'magic'"),
        ("--channel chat --provider scripted --provider meshagent", "at once"),
        ("--channel chat --provider gpu=http://h/v1", "--model codex/gpu/MODEL"),
        ("--channel chat --provider gpu=h:8000 --model codex/gpu/m", "no address of a Responses API"),
        ("--channel chat --provider gpu=https://u:secret@h/v1 --model codex/gpu/m", "GPU_API_KEY"),
        ("--channel chat --provider openai=http://h/v1 --model codex/openai/m", "cannot be called 'openai'"),
        ("--channel chat --working-dir /no/such/folder", "is not a folder"),
        ("--channel chat --rules-file /no/such/file", "cannot be read"),
        ("--channel chat --room-rules ../x", "not the path of a file in the room"),
        ("--channel chat --instructions /", "not the path of a file in the room"),
        ("--channel chat --skill-dir /no/such/folder", "--skill-dir /no/such/folder is not a folder"),
        ("--channel chat --codex-home /no/such/folder", "--codex-home /no/such/folder is not a folder"),
        ("--channel chat --reasoning-effort very-high", "--reasoning-effort cannot be"),
        ("--channel chat --port 99999", "99999"),
        ("--channel chat --thread-isolation mine", "--thread-isolation cannot be 'mine'"),
        ("--channel chat --thread-isolation participant --threading-mode none", "more than the one thread"),
        (
            "--channel websocket:8765 --websocket-auth none --thread-isolation participant",
            "--websocket-auth none does not ask",
        ),
        ("--channel chat --workspace own", "--workspace cannot be 'own'"),
        ("--channel chat --worktrees /tmp", "no use without --workspace per-thread"),
        ("--channel chat --shout", "--shout"),
    ],
)
def test_bad_flags_exit_2_and_say_what_to_do(
    flags: str,
    said: str,
    seen: list[JoinOptions],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert process(monkeypatch, "join", "--room", "r", "--agent-name", "a", *flags.split()) == 2
    assert said in capsys.readouterr().err
    assert seen == []


def test_an_address_without_scheme_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHAGENT_API_URL", "room.example")
    assert process(monkeypatch, "join", "--room", "r", "--agent-name", "a", "--channel", "chat") == 2
    assert "MESHAGENT_API_URL" in capsys.readouterr().err


def test_rules_files_lose_comments_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "rules.txt"
    path.write_text("# why\nBe brief.\n\n  # no\nUse [bold] and ünïcode.\n[boards]\nUse tables.\n", "utf-8")
    rules = read_rules(path)
    assert rules.general == ("Be brief.", "Use [bold] and ünïcode.")
    assert rules.for_client("boards") == (*rules.general, "Use tables.")


def test_a_huge_rules_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.txt"
    path.write_bytes(b"x" * (MAX_RULES + 1))
    with pytest.raises(UsageError, match="larger than"):
        read_rules(path)


def test_files_in_the_room_keep_their_order_and_kind(
    seen: list[JoinOptions], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    typed = "join --room r --agent-name a --channel chat -rr /rules.txt --room-rules b --instructions how.md"
    flags = ("--reasoning-effort", "high", "--skill-dir", str(tmp_path), "--codex-home", str(tmp_path))
    assert process(monkeypatch, *typed.split(), *flags) == 0
    [options] = seen
    named = [(file.kind, file.path) for file in options.rules.files]
    assert named == [("rules", "/rules.txt"), ("rules", "b"), ("instructions", "how.md")]
    assert options.model_flags == ModelFlags("high", (tmp_path,), tmp_path)


def test_summary_forms() -> None:
    lines = [("agent", "bot"), ("working folder", "/w"), ("agent", "again")]
    assert as_text(lines).splitlines()[0] == "agent           bot"
    assert as_json(lines) == '{"agent": "bot; again", "working_folder": "/w"}'


def test_a_second_ctrl_c_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancelled(wanted: JoinOptions, settings: Settings) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("process_agent.cli.joining.stay", cancelled)
    arguments = ("--room", "r", "--agent-name", "a", "--channel", "chat")
    assert process(monkeypatch, "join", *arguments) == INTERRUPTED
