"""Values of process.toml as defaults of flags, seen through the real commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from process_agent.cli import join as join_module
from process_agent.cli import service_place as place_module
from process_agent.cli import service_serve as serve_module
from process_agent.cli import threads as threads_module
from process_agent.cli.checked import JoinOptions
from process_agent.cli.profiles import commands_of, keys_of, known_keys
from process_agent.cli.service_place import Wanted, check_hosted
from process_agent.cli.tree import command
from process_agent.config import Settings
from process_agent.errors import UsageError
from process_agent.wire import participant_token as tokens

GIVEN = """
room = "from-file"
agent-name = "filed"
channel = ["chat"]
network = true
[profiles.quiet]
sandbox = "read-only"
port = 9000
"""


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    file = tmp_path / "config" / "process" / "process.toml"
    file.parent.mkdir(parents=True)
    file.write_text(GIVEN)
    return file


def run(*arguments: str) -> None:
    command().main(list(arguments), standalone_mode=False)


def joined(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> JoinOptions:
    seen: list[JoinOptions] = []
    monkeypatch.setattr(join_module, "run", lambda options, settings: seen.append(options))
    run("join", *arguments)
    return seen[0]


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, Any]]:
    run("config", "show", "--json", *arguments)
    return {each["name"]: each for each in json.loads(capsys.readouterr().out)["settings"]}


def test_files_are_defaults_and_flags_win(monkeypatch: pytest.MonkeyPatch) -> None:
    options = joined(monkeypatch)
    assert (options.room, options.agent_name, options.network) == ("from-file", "filed", True)
    options = joined(monkeypatch, "--room", "flag", "--no-network", "--profile", "quiet")
    assert (options.room, options.network, options.sandbox, options.port) == (
        "flag",
        False,
        "read-only",
        9000,
    )
    options = joined(monkeypatch, "--profile", "none", "--channel", "queue:jobs")
    assert (options.room, options.network, len(options.channels)) == (None, False, 1)


def test_the_environment_comes_before_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHAGENT_ROOM", "from-environment")
    assert joined(monkeypatch).room is None
    monkeypatch.delenv("MESHAGENT_ROOM")
    grant = tokens.ParticipantToken("bot", "granted", "agent")
    monkeypatch.setenv("MESHAGENT_TOKEN", tokens.encode(grant, "k" * 64))
    assert joined(monkeypatch).room is None
    monkeypatch.setenv("PROCESS_PROFILE", "quiet")
    assert joined(monkeypatch).sandbox == "read-only"


def test_where_values_come_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_file: Path
) -> None:
    monkeypatch.setenv("MESHAGENT_PROJECT_ID", "p1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key-of-mine")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://ana:hush@host/v1")
    found = shown(
        capsys, "--profile", "quiet", "--approvals", "deny", "--rule", "use sk-12345678901234567890"
    )
    assert found["room"] == {
        "name": "room",
        "value": "from-file",
        "source": "file",
        "place": f"{own_file}:2",
    }
    assert found["sandbox"]["place"] == f"{own_file}:7"
    assert found["approvals"]["source"] == "flag"
    assert found["project-id"]["place"] == "MESHAGENT_PROJECT_ID"
    assert found["workspace"]["source"] == "default"
    assert not any(word in str(found) for word in ("secret", "hush", "123456789"))
    with pytest.raises(UsageError, match="no profile 'x'"):
        run("config", "show", "--profile", "x")


def test_a_value_that_its_flag_would_refuse(own_file: Path) -> None:
    own_file.write_text("\nport = 70000")
    with pytest.raises(UsageError, match=r"process.toml:2: port"):
        run("join")


def test_a_file_in_the_folder_has_to_be_trusted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_file: Path
) -> None:
    Path("process.toml").write_text('approvals = "auto"\nroom = "theirs"\n')
    options = joined(monkeypatch)
    assert (options.approvals, options.room) == ("ask", "from-file")
    assert "not trusted" in capsys.readouterr().err
    run("config", "trust")
    assert 'approvals = "auto"' in capsys.readouterr().out
    options = joined(monkeypatch)
    assert (options.approvals, options.room) == ("auto", "theirs")
    run("config", "trust", "--revoke")
    assert joined(monkeypatch).approvals == "ask"


def test_documents_of_services_have_what_files_say(
    capsys: pytest.CaptureFixture[str], own_file: Path
) -> None:
    own_file.write_text(GIVEN + 'working-dir = "/home/ana/project"\n')
    own_file.write_text('working-dir = "/home/ana"\n' + GIVEN)
    run("spec", "--json", "--image", "x", "--no-network")
    container = json.loads(capsys.readouterr().out)["container"]
    assert container["command"] == "process join --agent-name filed --channel chat"


def test_flags_of_a_group_come_before_files(monkeypatch: pytest.MonkeyPatch, own_file: Path) -> None:
    own_file.write_text(GIVEN + '[profiles.other]\nroom = "other"\nagent-name = "another"\n')
    seen: list[tuple[str | None, str | None]] = []
    monkeypatch.setattr(
        threads_module, "_run", lambda options: seen.append((options.room, options.agent_name))
    )
    for words in (
        "threads",
        "threads list",
        "threads --room flag list",
        "threads list --room flag",
        "threads --profile other list",
        "threads list --profile other",
        "threads --room flag list --profile other",
    ):
        run(*words.split())
    assert seen == [
        ("from-file", "filed"),
        ("from-file", "filed"),
        ("flag", "filed"),
        ("flag", "filed"),
        ("other", "another"),
        ("other", "another"),
        ("flag", "another"),
    ]


def test_other_commands_get_only_the_room_and_who(own_file: Path) -> None:
    root = command()
    known = known_keys(root)
    assert {"room", "sandbox", "image", "run-as"} <= known.keys()
    assert known.keys().isdisjoint({"json", "profile", "help"})
    for path, leaf, _ in commands_of(root, known):
        keys = set(keys_of(path, leaf, known))
        if path[0] in ("chat", "threads", "token", "usage"):
            assert "room" in keys or path[0] == "threads"
            assert keys <= {"room", "agent-name", "local", "data-dir", "project-id"}
        if path == ("service", "serve"):
            assert {"agent-name", "channel", "sandbox", "working-dir", "local"} <= keys
            assert keys.isdisjoint({"port", "room", "health"}), "its --port is where it listens"


def served(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[JoinOptions, dict[str, Any]]:
    seen: list[tuple[JoinOptions, dict[str, Any]]] = []
    monkeypatch.setattr(serve_module, "run", lambda options, settings, params: seen.append((options, params)))
    run("service", "serve", *arguments)
    return seen[0]


def test_an_agent_that_is_called_is_the_one_of_the_files(
    monkeypatch: pytest.MonkeyPatch, own_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    own_file.write_text(
        f'{GIVEN}[profiles.code]\nlocal = true\nworking-dir = "{folder}"\nmodel = ["codex/x"]\n'
    )
    options, params = served(monkeypatch, "--profile", "quiet")
    assert (options.agent_name, options.network, options.sandbox) == ("filed", True, "read-only")
    assert params["port"] is None, "the local room's port is not where calls come in"
    options, params = served(monkeypatch, "--profile", "code", "--no-network")
    assert (options.working_dir, options.models, options.network) == (folder, ("codex/x",), False)
    assert params["local"] is True


def deployed_flags(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], str]:
    """The container of the document that `process spec` prints, and what it says besides."""
    run("spec", "--json", "--image", "x", *arguments)
    said = capsys.readouterr()
    container: dict[str, Any] = json.loads(said.out)["container"]
    return container, said.err


def test_files_of_settings_travel_and_folders_stay(
    capsys: pytest.CaptureFixture[str], own_file: Path, tmp_path: Path
) -> None:
    skill = own_file.parent / "skills" / "tidy"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: tidy\ndescription: Tidies.\n---\n")
    (own_file.parent / "rules.txt").write_text("Be brief.\n")
    (own_file.parent / "mcp.toml").write_text("[mcp_servers.x]\nurl = 'https://example.com/mcp'\n")
    own_file.write_text(
        f"{GIVEN}[profiles.team]\nrules-file = ['rules.txt']\nskill-dir = ['skills']\n"
        f"mcp-config = 'mcp.toml'\nworking-dir = '{tmp_path}'\ncodex-home = '{tmp_path}'\nbackend = ['llm']\n"
    )
    container, said = deployed_flags(capsys, "--profile", "team")
    assert [file["path"] for file in container["storage"]["files"]] == [
        "/etc/process/rules-1.txt",
        "/etc/process/mcp.toml",
        "/etc/process/skills-1/tidy/SKILL.md",
    ]
    assert str(tmp_path) not in container["command"], "no folder of this machine"
    assert f"working-dir of {own_file}:13 is a folder of this machine" in said
    assert f"codex-home of {own_file}:14" in said
    container, said = deployed_flags(capsys, "--profile", "team", "--working-dir", "/data")
    assert "--working-dir /data" in container["command"]
    assert "working-dir of" not in said


def test_what_a_file_says_for_hosted_rooms_is_no_mistake_in_the_local_one(
    capsys: pytest.CaptureFixture[str], own_file: Path, tmp_path: Path
) -> None:
    own_file.write_text(f"image = 'x'\nrun-as = 'bot@example.com'\nworking-dir = '{tmp_path}'\n{GIVEN}")
    run("deploy", "--local", "--backend", "chat", "--dry-run", "--diff", "--data-dir", str(tmp_path / "data"))
    said = capsys.readouterr().out
    assert f"--working-dir {tmp_path}" in said
    with pytest.raises(UsageError, match="--image is for hosted rooms"):
        run("deploy", "--local", "--backend", "chat", "--dry-run", "--image", "x")


def test_what_a_file_says_for_the_local_room_is_no_mistake_in_a_hosted_one(
    monkeypatch: pytest.MonkeyPatch, own_file: Path
) -> None:
    own_file.write_text(f"data-dir = '/tmp/x'\nport = 9000\n{GIVEN}")
    monkeypatch.setenv("MESHAGENT_API_KEY", "ma-a-b-c")
    seen: list[Wanted] = []

    def look(wanted: Wanted, settings: Settings) -> None:
        check_hosted(wanted)
        seen.append(wanted)
        raise UsageError("seen")

    monkeypatch.setattr(place_module, "service_place", look)
    for flags in ((), ("--project",)):
        with pytest.raises(UsageError, match="seen"):
            run("service", "list", *flags)
    assert [(each.room, each.project) for each in seen] == [("from-file", False), (None, True)]
    with pytest.raises(UsageError, match="local room's"):
        run("service", "list", "--data-dir", "x")
