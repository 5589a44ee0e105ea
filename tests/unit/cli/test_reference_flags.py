"""Every flag of MeshAgent's own `process join` and `process run` is taken, or refused with the reason."""

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
from process_agent.cli.reference_flags import ALIASES, AS_IT_IS, OFF, REFUSED, ROLE, rewritten
from process_agent.config import Settings, load
from process_agent.errors import UsageError
from tests.unit.cli.test_join_options import process

DATA = Path(__file__).parents[2] / "data" / "published-flags.txt"
PUBLISHED = frozenset(line for line in DATA.read_text().splitlines() if line.startswith("--"))


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


def test_what_is_ours_is_no_alias_and_every_reason_is_a_sentence() -> None:
    ours, _ = flags("join")
    assert not ours & {*ALIASES, *OFF, *AS_IT_IS, *REFUSED}
    assert {*ALIASES.values(), *OFF.values()} <= ours
    assert all(why.endswith(".") for why in REFUSED.values())


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
