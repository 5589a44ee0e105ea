"""What is decided before Codex starts: account, command line, environment, sandbox, models, instructions."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backends.codex import create_backend, launch
from backends.codex.account import Account, choose_account
from backends.codex.catalogue import Window, read_windows
from backends.codex.failures import last_words, steer_refused, turn_error
from backends.codex.launch import catalog, catalog_path, child_environment, prepare, settings
from backends.codex.models import default_choice, provider_models
from backends.codex.turn_settings import unsaid
from process_agent.cli.joining import BACKEND_ENVIRONMENT
from process_agent.core.backend import BackendConfig
from process_agent.core.discretion import without_addresses
from process_agent.core.models import ModelChoice, Pricing
from process_agent.errors import AuthError, BackendError, RemoteError, UsageError
from process_agent.io.codex_program import Program
from process_agent.io.command_profile import PROFILE, MountPoints
from process_agent.io.kept_from_commands import check_folder, fixed_parents, private_places
from process_agent.io.model_facts import known_models
from process_agent.wire.toml import inline_table, text

PROGRAM = Program(Path("/opt/codex"), (0, 163, 0), Path("/opt/tools"))


def config(base: Path, **values: Any) -> BackendConfig:
    given: dict[str, Any] = {
        "agent_name": "codex agent/..",
        "working_dir": base,
        "data_dir": base / "data",
        "environment": {
            "HOME": str(base),
            "PATH": "/bin",
            "MESHAGENT_API_KEY": "hidden",
            "OPENAI_API_KEY": "x",
        },
    }
    return BackendConfig(**(given | values))


def parsed(arguments: Sequence[str]) -> dict[str, Any]:
    """The `-c` arguments as Codex reads them."""
    return tomllib.loads("\n".join(word for word in arguments if word != "-c"))


def test_creating_a_backend_touches_nothing(tmp_path: Path) -> None:
    backend = create_backend(config(tmp_path, working_dir=tmp_path / "missing"))
    assert backend.name == "codex"
    assert list(tmp_path.iterdir()) == []


def test_accounts(tmp_path: Path) -> None:
    with pytest.raises(AuthError):
        choose_account(config(tmp_path))
    with pytest.raises(BackendError):
        choose_account(config(tmp_path, provider="scripted"))
    scripted = choose_account(
        config(tmp_path, provider="scripted", base_url="http://127.0.0.1:1/v1", api_key="k")
    )
    assert (scripted.label, scripted.model, scripted.slugs) == ("scripted model", "scripted", ("scripted",))
    assert scripted.home == tmp_path / "data" / "codex" / "codex_agent_"
    openai = choose_account(config(tmp_path, api_key="k"))
    assert (openai.base_url, openai.slugs, openai.model) == ("https://api.openai.com/v1", (), None)
    pinned = (ModelChoice("codex", None, "llama"), ModelChoice("codex", None, "qwen"))
    other = choose_account(config(tmp_path, base_url="http://gpu:8000/v1", models=pinned))
    assert (other.label, other.slugs, other.model) == ("no key, gpu", ("llama", "qwen"), "llama")
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex" / "auth.json").write_text("{}")
    login = choose_account(config(tmp_path))
    assert (login.home, login.own_home) == (tmp_path / ".codex", False)


@pytest.mark.parametrize(
    ("url", "label", "slugs", "session"),
    [
        ("https://api.meshagent.com/openai/v1", "MeshAgent project, api.meshagent.com", (), None),
        (
            "https://api.meshagent.com/rooms/r/openai/v1",
            "MeshAgent project, api.meshagent.com",
            (),
            "process",
        ),
        ("https://gpu.example/v1", "MeshAgent project, gpu.example", ("gpt-5.5",), None),
    ],
)
def test_a_proxy_that_passes_through_has_the_models_of_openai(
    tmp_path: Path, url: str, label: str, slugs: tuple[str, ...], session: str | None
) -> None:
    given = config(tmp_path, provider="meshagent", base_url=url, api_key="jwt-of-the-room")
    account = choose_account(given)
    assert (account.label, account.slugs, account.priced) == (label, slugs, False)
    launch = prepare(given, PROGRAM, account)
    table = parsed(launch.command.arguments[2:])["model_providers"]["openai_http"]
    assert table.get("http_headers", {}).get("Meshagent-Session") == session
    assert "jwt-of-the-room" not in repr((given, account, launch.command.arguments))


def test_the_key_is_in_the_environment_only(tmp_path: Path) -> None:
    given = config(tmp_path, provider="scripted", base_url="http://127.0.0.1:1/v1", api_key="sk-secret")
    launch = prepare(given, PROGRAM, choose_account(given))
    assert not any("sk-secret" in word for word in launch.command.arguments)
    environment = launch.command.environment
    assert environment["PROCESS_MODEL_KEY"] == "sk-secret"
    assert environment["PATH"] == "/opt/tools:/bin"
    assert "127.0.0.1" in environment["NO_PROXY"]
    assert not {"MESHAGENT_API_KEY", "OPENAI_API_KEY"} & set(environment)
    values = parsed(launch.command.arguments[2:])
    assert values["model_providers"]["scripted"]["env_key"] == "PROCESS_MODEL_KEY"
    assert values["shell_environment_policy"]["inherit"] == "core"
    assert values["features"]["unbounded_connection_retries"] is False
    assert values["features"]["plugins"] is False
    assert values["tools"]["update_plan"]["enabled"] is True
    assert values["allow_login_shell"] is False
    assert values["web_search"] == "disabled"


def test_newer_versions_get_the_newer_switch() -> None:
    account = Account("login", Path("/h"))
    given = config(Path("/w"), network=True)
    assert parsed(settings(given, (0, 163, 0), account))["features"]["multi_agent"] is False
    newer = parsed(settings(given, (0, 169, 0), account))
    assert newer["agents"] == {"enabled": False}
    assert "multi_agent" not in newer["features"]
    assert "web_search" not in newer
    asked = config(Path("/w"), web_search=True)
    assert parsed(settings(asked, (0, 163, 0), account))["web_search"] == "live"


def test_the_sandbox_profile(tmp_path: Path) -> None:
    scripted = {"provider": "scripted", "base_url": "http://127.0.0.1:1/v1"}
    given = config(tmp_path, working_dir=tmp_path / "work", network=True, **scripted)
    values = parsed(prepare(given, PROGRAM, choose_account(given)).command.arguments[2:])
    profile = values["permissions"][PROFILE]
    assert values["default_permissions"] == PROFILE
    assert (profile["extends"], profile["network"]) == (":workspace", {"enabled": True})
    rules = profile["filesystem"]
    assert rules[str(tmp_path / "data")] == rules[str(tmp_path / ".codex")] == "deny"
    assert rules[str(tmp_path / ".meshagent")] == "deny"
    assert rules[":slash_tmp"] == "read"
    full = prepare(config(tmp_path, api_key="k", sandbox="full-access"), PROGRAM, Account("x", tmp_path, "p"))
    assert "permissions" not in parsed(full.command.arguments[2:])


def test_in_the_users_codex_folder_skills_stay_readable(tmp_path: Path) -> None:
    home = tmp_path / ".codex"
    (home / "skills").mkdir(parents=True)
    (home / "state.sqlite").write_text("")
    (tmp_path / "work").mkdir()
    paths = private_places(config(tmp_path, working_dir=tmp_path / "work"), home, own_home=False)
    assert {home / "auth.json", home / "config.toml", home / "state.sqlite"} <= set(paths)
    assert not {home, home / "skills"} & set(paths)


def test_links_are_followed_and_nothing_hidden_lies_below_another(tmp_path: Path) -> None:
    for name in ("real-codex", "real-data"):
        (tmp_path / name).mkdir()
    (tmp_path / ".codex").symlink_to("real-codex")
    (tmp_path / "data").symlink_to("real-data")
    (tmp_path / "loop").symlink_to("loop")
    given = config(
        tmp_path,
        working_dir=tmp_path / "work",
        network=True,
        environment={
            "HOME": str(tmp_path),
            "KUBECONFIG": f"{tmp_path}/loop:not/absolute:{tmp_path}/.ssh/kube",
            "CODEX_HOME": str(tmp_path / ".codex"),
            "XDG_RUNTIME_DIR": "/",
        },
    )
    paths = private_places(given, tmp_path / "data" / "codex" / "agent", own_home=True)
    assert {tmp_path / name for name in ("real-codex", "real-data", ".ssh", "loop")} <= set(paths)
    assert not {tmp_path / ".codex", tmp_path / "data", tmp_path / ".ssh/kube", Path("/")} & set(paths)
    assert not [p for p in paths for other in paths if p != other and p.is_relative_to(other)]
    assert Path("/run/docker.sock") in paths
    used = private_places(given, tmp_path / ".codex", own_home=False)
    assert tmp_path / "real-codex" / "auth.json" in used
    assert tmp_path / "real-codex" not in used, "commands read skills there"


def test_a_place_that_codex_would_take_for_a_pattern_is_refused(tmp_path: Path) -> None:
    """Codex hides nothing by such a name, and has no way to write it otherwise (tried with 0.163.0)."""
    for char in "[]*?":
        given = config(tmp_path, working_dir=tmp_path / "work", data_dir=tmp_path / f"da{char}ta")
        places = private_places(given, tmp_path / ".codex", own_home=False)
        with pytest.raises(UsageError, match="commands could not be kept from it") as refused:
            check_folder(given, places)
        assert f"da{char}ta" in str(refused.value)
        assert check_folder(config(tmp_path, sandbox="full-access"), places) == []


def test_what_is_above_a_hidden_folder_stays_where_it_is(tmp_path: Path) -> None:
    (tmp_path / ".config" / "gh").mkdir(parents=True)
    given = config(tmp_path, working_dir=tmp_path, data_dir=tmp_path / "a" / "b" / "data")
    (tmp_path / "a" / "b" / "data").mkdir(parents=True)
    places = private_places(given, given.data_dir / "codex", own_home=True)
    assert tmp_path / ".ssh" not in places, "hiding it would make it"
    fixed = fixed_parents(given, places)
    assert fixed == [tmp_path / ".config", tmp_path / "a", tmp_path / "a" / "b"]
    assert len(check_folder(given, places)) == 2
    for sandbox in ("read-only", "full-access"):
        other = config(tmp_path, working_dir=tmp_path, sandbox=sandbox)
        assert fixed_parents(other, places) == []
        assert check_folder(other, places) == []


def test_leftover_mount_points_go_and_real_folders_stay(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    points = MountPoints(tmp_path)
    for name in (".git", ".codex", ".agents"):
        (tmp_path / name).mkdir()
    (tmp_path / ".agents" / "file").write_text("")
    points.remove()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".agents", ".aws"]
    (tmp_path / ".agents" / "file").unlink()
    for name in (".git", ".codex"):
        (tmp_path / name).mkdir()
    MountPoints(tmp_path).forget_leftovers()
    assert list(tmp_path.iterdir()) == []


def test_the_catalog_describes_our_models_like_the_one_codex_knows(tmp_path: Path) -> None:
    account = Account("scripted model", tmp_path, "scripted", slugs=("scripted",))
    listed = {"models": [{"slug": "gpt-5.5", "apply_patch_tool_type": "freeform", "upgrade": {"model": "x"}}]}
    (entry,) = json.loads(catalog(listed, account) or "")["models"]
    assert (entry["slug"], entry["display_name"], entry["upgrade"]) == ("scripted", "scripted model", None)
    assert entry["apply_patch_tool_type"] == "freeform"
    assert catalog({"models": []}, account) is None
    assert catalog_path(tmp_path, account, (0, 163, 0)) != catalog_path(tmp_path, account, (0, 164, 0))


def test_models_are_the_pinned_ones_or_those_of_codex(tmp_path: Path) -> None:
    account = Account("login", tmp_path)
    listed = [
        {"model": "a", "displayName": "A", "description": "first", "isDefault": False, "hidden": False}
        | {"inputModalities": ["text", "image"]},
        {"model": "b", "displayName": "B", "description": "", "isDefault": True, "hidden": False},
        {"model": "c", "hidden": True},
    ]
    windows = {"a": Window(272_000, 258_400)}
    (provider,) = provider_models("codex", config(tmp_path), account, listed, windows)
    assert [(m.name, m.friendly_name, m.active) for m in provider.models] == [
        ("a", "A", False),
        ("b", "B", True),
    ]
    assert [(m.context_window, m.accepts, m.pricing) for m in provider.models] == [
        (258_400, ("image",), None),
        (None, (), None),
    ]
    pinned = config(tmp_path, models=(ModelChoice("codex", None, "a"),))
    assert [m.name for m in provider_models("codex", pinned, account, listed, {})[0].models] == ["a"]
    assert default_choice("codex", config(tmp_path), account, listed) == ModelChoice("codex", "openai", "b")
    assert default_choice("codex", config(tmp_path), None, []) == ModelChoice("codex", None, None)


def test_prices_are_those_of_the_api_with_a_key_of_its_own(tmp_path: Path) -> None:
    facts = known_models(tmp_path)
    pinned = config(tmp_path, models=(ModelChoice("codex", None, "gpt-5.4"),), facts=facts)

    def price(**account: Any) -> Pricing | None:
        given = Account("x", tmp_path, "openai_http", **account)
        return provider_models("codex", pinned, given, [], {})[0].models[0].pricing

    assert price(base_url="https://api.openai.com/v1", key="k") == Pricing(2.5, 15.0, 0.25, search=10.0)
    assert price(base_url="https://api.openai.com.example/v1", key="k") is None
    assert price(base_url="https://api.openai.com/v1") is None
    assert provider_models("codex", pinned, Account("login", tmp_path), [], {})[0].models[0].pricing is None


def test_context_windows_are_read_from_the_catalogue() -> None:
    listed = {
        "models": [{"slug": "m", "context_window": 272_000, "effective_context_window_percent": 95}, {}]
    }
    assert read_windows(listed) == {"m": Window(272_000, 258_400)}
    assert read_windows(listed)["m"].compacts_at == 244_800
    assert read_windows([]) == {}


def test_toml_values_survive(tmp_path: Path) -> None:
    value = {'a "b"\\': "tab\t\x7f\u2028 ünï 😀", "n": {"yes": True, "one": 1}}
    assert tomllib.loads(f"x = {inline_table(value)}")["x"] == value  # type: ignore[arg-type]
    assert tomllib.loads(f"x = {text('')}")["x"] == ""


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (
            "unexpected status 404 Not Found: not found, url: http://h:1/v1/responses",
            "unexpected status 404 Not Found: not found",
        ),
        ("error sending request for url (https://api.x.com/v1/responses)", "error sending request for url"),
        ("no address", "no address"),
    ],
)
def test_addresses_are_left_out(said: str, left: str) -> None:
    assert without_addresses(said) == left


def test_an_error_without_anything_still_says_something() -> None:
    nothings: list[object] = [None, {}, [], {"message": None, "codexErrorInfo": None}]
    for nothing in nothings:
        error = turn_error(nothing)
        assert error.message
        assert error.code == "codex_turn_failed"


def test_only_what_programs_need_is_passed_on() -> None:
    environment = child_environment(
        {"PATH": "", "HOME": "/h", "SECRET": "s"}, PROGRAM, Account("x", Path("/c"))
    )
    assert "SECRET" not in environment
    assert environment["CODEX_HOME"] == "/c"
    assert environment["PATH"].startswith("/opt/tools:/")


def test_the_command_line_gives_the_backend_all_that_is_passed_on() -> None:
    assert set(launch._PASSED_ON) <= set(BACKEND_ENVIRONMENT)


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (-9, "", "killed by signal 9, it said nothing"),
        (None, "\n", "it ended, it said nothing"),
        (101, "\x1b[31mERROR\x1b[0m a\n\n b", "exit status 101: ERROR a / b"),
        (1, "\n".join("abcdefgh"), "exit status 1: d / e / f / g / h"),
        (
            1,
            "key my-key sk-abcdefghij Bearer abcdefghij= eyJhbGciOiJI.x.y",
            "exit status 1: key [key] [key] Bearer [key] [key]",
        ),
    ],
)
def test_last_words_have_no_colours_and_no_keys(status: int | None, said: str, words: str) -> None:
    assert last_words(status, said, "my-key") == words


def test_a_steer_that_comes_too_late_can_be_said_as_a_turn() -> None:
    late = steer_refused(RemoteError("no active turn to steer", code=-32600))
    assert late.code == "turn_ended"
    assert "Codex" not in late.message
    other = steer_refused(RemoteError("expected active turn id `a` but found `b`", code=-32600))
    assert other.code == "codex_turn_steer_failed"


def test_a_mode_is_told_when_it_changes() -> None:
    first: dict[str, Any] = {
        "collaborationMode": {"mode": "default", "settings": {"model": "a"}},
        "clientUserMessageId": "1",
    }
    later = {**first, "clientUserMessageId": "2"}
    other = {**later, "collaborationMode": {"mode": "default", "settings": {"model": "b"}}}
    assert unsaid(first, None) == first
    assert unsaid(later, first["collaborationMode"]) == {"clientUserMessageId": "2"}
    assert unsaid(other, first["collaborationMode"]) == other
