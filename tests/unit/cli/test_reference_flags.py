"""Every flag of MeshAgent's own `process` commands is taken, or refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from process_agent.cli import join as join_module
from process_agent.cli.agent_options import with_token
from process_agent.cli.app import app
from process_agent.cli.checked import JoinOptions
from process_agent.cli.help_groups import GroupedCommand
from process_agent.cli.reference_flags import ALIASES, AS_IT_IS, OF_USE, OFF, REFUSED, ROLE, rewritten
from process_agent.config import Settings, load
from process_agent.errors import UsageError
from process_agent.rooms.credentials import JoinWish
from tests.unit.cli.test_join_options import process

DATA = Path(__file__).parents[2] / "data" / "published-flags.txt"
PUBLISHED = frozenset(line for line in DATA.read_text().splitlines() if line.startswith("--"))


_NAMED = ("--project-id", "--room", "--help")
_STORED = ("--agent-name", "--thread-dir", "--thread-storage", "--output")
OTHERS = {
    "threads": frozenset((*_NAMED, *_STORED, "--limit", "--offset")),
    "messages": frozenset((*_NAMED, *_STORED, "--thread-id")),
    "grep": frozenset((*_NAMED, "--thread-id", "--output")),
    "use": frozenset(
        (*_NAMED, "--agent-name", "--thread-id", "--message", "--websocket-url", "--websocket-auth", "--user")
    ),
}
"""The flags of the commands of `meshagent process` that make no agent, as version 0.55.1 lists them."""


def flags(command: str) -> tuple[frozenset[str], frozenset[str]]:
    """All options of a command, and those with a value."""
    commands: Any = get_command(app)
    options = [option for option in commands.commands[command].params if option.param_type_name == "option"]
    every = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    return frozenset(every | {"--help"}), frozenset(
        name for option in options if not option.is_flag for name in option.opts
    )


@pytest.mark.parametrize("command", ["join", "run", "spec"])
def test_no_published_flag_is_unknown(command: str) -> None:
    ours, _ = flags(command)
    known = {*ours, *ALIASES, *OFF, *AS_IT_IS, *REFUSED, ROLE}
    elsewhere = {  # of what only a joined or running agent has
        *("--token-from-env", "--message", "--no-room", "--thread-id", "--user", "--port", "--room"),
        *("--project-id",),
    }
    assert PUBLISHED - known - (elsewhere if command != "join" else elsewhere - {"--token-from-env"}) == set()


@pytest.mark.parametrize("command", OTHERS)
def test_no_published_flag_of_the_other_commands_is_unknown(command: str) -> None:
    ours, _ = flags(command)
    assert OTHERS[command] - ours - {*(OF_USE if command == "use" else ())} == set()


@pytest.mark.parametrize("flag", ["--websocket-url ws://127.0.0.1:8765", "--websocket-auth=none"])
def test_use_says_why_it_goes_through_no_websocket(
    flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert process(monkeypatch, "use", "--room", "r", *flag.split(), "--message", "hi") == 2
    assert "is not taken here: process use talks to an agent in its room" in capsys.readouterr().err


def test_use_takes_what_only_looks_like_a_refused_flag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert process(monkeypatch, "use", "--message", "--websocket-url", "--approve", "ask") == 2
    assert "--approve ask needs the interactive terminal" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["threads", "threads list", "messages --thread-id 1"])
@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("codex", "Codex's own records"),
        ("none", "end with their agent"),
        ("tape", "--thread-storage cannot be 'tape'"),
    ],
)
def test_only_threads_in_the_room_are_read(
    command: str, storage: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = f"{command} --room r --local --thread-storage {storage} --thread-storage dataset"
    assert process(monkeypatch, *typed.split()) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "typed",
    [
        "threads --thread-storage dataset --thread-storage codex",
        "threads list",
        "messages --thread-id 1 --thread-storage dataset",
        "grep x --thread-id 1",
        "use --message hi",
        "chat --message hi",
    ],
)
def test_the_project_is_that_of_the_command_line(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[JoinWish] = []

    async def join_target(_settings: Settings, wish: JoinWish, **_where: object) -> None:
        seen.append(wish)
        raise UsageError("far enough")

    monkeypatch.setattr("process_agent.cli.local.join_target", join_target)
    assert process(monkeypatch, *typed.split(), "--room", "r", "--project-id", "p") == 2
    assert [(wish.room, wish.project_id) for wish in seen] == [("r", "p")]


def test_what_is_ours_is_no_alias_and_every_reason_is_a_sentence() -> None:
    ours, _ = flags("join")
    assert not ours & {*ALIASES, *OFF, *AS_IT_IS, *REFUSED}
    assert {*ALIASES.values(), *OFF.values()} <= ours
    assert all(why.endswith(".") for why in (*REFUSED.values(), *OF_USE.values()))


JOIN = flags("join")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--use-web-search --require-storage", "--web-search --storage"),
        ("--require-image-generation gpt-image-1", "--image-generation gpt-image-1"),
        ("--require-image-generation=gpt-image-1", "--image-generation=gpt-image-1"),
        ("--no-shell --no-time --always-reply --role agent", ""),
        ("--role=agent --room r", "--room r"),
        ("--rule --no-shell -r --key --room=--key", "--rule --no-shell -r --key --room=--key"),
        ("--require-image-generation --key", "--image-generation --key"),
        ("--shell -- --key", "--shell -- --key"),
        ("--what-is-that x", "--what-is-that x"),
        ("--working-directory /a", "--working-dir /a"),
    ],
)
def test_flags_become_ours_and_values_stay(typed: str, meant: str) -> None:
    assert rewritten(typed.split(), *JOIN) == meant.split()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--computer-use", "--computer-use is not taken here: there is no browser"),
        ("--key=secret", "MESHAGENT_API_KEY"),
        ("--shell --no-shell", "--no-shell and --shell contradict each other"),
        ("--no-web-search --use-web-search", "contradict"),
        ("--role user", "--role cannot be 'user'"),
        ("--role", "--role cannot be ''"),
    ],
)
def test_what_is_refused_says_why(typed: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        rewritten(typed.split(), *JOIN)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


words = st.sampled_from(["--rule", "-r", "--room", "--shell", "--storage", "--", "x", "-", "--model=y"])


@given(st.lists(words))
def test_our_own_command_lines_stay_as_they_are(given: list[str]) -> None:
    assert rewritten(given, *JOIN) == given


def test_a_script_for_the_reference_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[JoinOptions, Settings]] = []
    monkeypatch.setattr(join_module, "run", lambda options, settings: seen.append((options, settings)))
    monkeypatch.setenv("MY_TOKEN", "the-token")
    typed = (
        "join --room r --agent-name a --channel chat --model gpt-5.5 --role agent --require-web-search "
        "--no-shell --threading-mode none --thread-storage dataset --token-from-env MY_TOKEN"
    )
    assert process(monkeypatch, *typed.split()) == 0
    [(options, settings)] = seen
    assert (options.outside.web_search, options.single_thread, settings.token) == (True, True, "the-token")
    assert process(monkeypatch, *typed.split(), "--voice", "alloy") == 2


def test_a_token_that_is_not_there_is_said() -> None:
    settings = load({"HOME": "/nowhere"})
    assert with_token(settings, None) is settings
    with pytest.raises(UsageError, match="NO_SUCH_TOKEN is not set"):
        with_token(settings, "NO_SUCH_TOKEN")


def test_commands_that_make_agents_take_them() -> None:
    commands: Any = get_command(app)
    for command in ("join", "run", "spec"):
        assert isinstance(commands.commands[command], GroupedCommand)
