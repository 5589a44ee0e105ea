"""Commands of a language model try to get at what the sandbox keeps from them, and to harm the agent."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from process_agent.agent.tools.shell.output import MAX_READ, MAX_SHOWN
from process_agent.core.events import ApprovalRequested
from process_agent.errors import BackendError, UsageError
from tests.contract.codex_room import script
from tests.contract.test_codex_sandbox import SECRET, hide, listening, logins
from tests.fakes.shell_house import ShellHouse, logged, outcome, shell_house


async def printed(house: ShellHouse, *commands: str) -> str:
    """What commands print, one after the other; what asks for an approval is declined."""
    told = await house.turn(script(*({"run": command} for command in commands)))
    assert not told.of(ApprovalRequested)
    return "".join(str(outcome(told, number=n).get("stdout")) for n in range(len(commands)))


@pytest.mark.parametrize("sandbox", ["read-only", "workspace-write"])
async def test_no_login_and_nothing_of_the_room_can_be_read(tmp_path: Path, sandbox: str) -> None:
    """Not by name, not through links, not through the folders of processes."""
    home, elsewhere, real_data = Path(os.environ["HOME"]), tmp_path / "elsewhere", tmp_path / "real-data"
    secrets = logins(home)
    shutil.move(home / ".codex", elsewhere)
    (home / ".codex").symlink_to(elsewhere)
    real_data.mkdir()
    (tmp_path / "data").symlink_to(real_data)
    (tmp_path / "kube").write_text(SECRET)
    secrets += [elsewhere / "auth.json", tmp_path / "data/signing-key", real_data / "signing-key"]
    secrets += [hide(real_data / "signing-key"), tmp_path / "kube"]
    variables = {"KUBECONFIG": f"relative:{tmp_path}/kube", "SSH_AUTH_SOCK": SECRET, "HTTP_PROXY": SECRET}
    async with shell_house(tmp_path, sandbox=sandbox, environment=variables) as house:
        assert house.shell.sandbox.line.startswith(f"{sandbox}, "), "it can be enforced"
        (house.folder / "link").symlink_to(home)
        (house.folder / "key").symlink_to(real_data / "signing-key")
        names = " ".join(map(str, secrets))
        output = await printed(
            house,
            f"cat {names}; cat link/.codex/auth.json link/.ssh/* key",
            "for p in /proc/[0-9]* /proc/self; do "
            f"cat $p/environ $p/root{elsewhere}/auth.json $p/cwd/key; done",
            f"for p in {os.getpid()} {os.getppid()}; do cat /proc/$p/environ; kill -0 $p; done",
            f"ln {real_data}/signing-key hard; cat hard; tar cf - {home} | strings; grep -r '' {home}",
        )
        assert SECRET not in output
        assert house.model.api_key not in output
        assert "Permission denied" in output
        assert output.count("No such process") == 2, "processes outside of the sandbox are not to be seen"
        assert "CODEX_HOME" not in await printed(house, "env")


async def test_keys_reach_no_command(tmp_path: Path) -> None:
    """Also with full access there is none in the environment, whatever a profile of the user's exports."""
    (Path(os.environ["HOME"]) / ".bashrc").write_text(f"export LEAK={SECRET}\n")
    (Path(os.environ["HOME"]) / ".profile").write_text(f"export LEAK={SECRET}\n")
    given = {"OPENAI_API_KEY": SECRET, "MESHAGENT_TOKEN": SECRET, "BASH_ENV": "/dev/null", "PROMPT": SECRET}
    for mode in ("workspace-write", "full-access"):
        async with shell_house(tmp_path, sandbox=mode, approvals="auto", environment=given) as house:
            output = await printed(house, "env; bash -c env; set")
            assert SECRET not in output
            assert house.model.api_key not in output
            assert f"PATH={os.environ['PATH']}" in output


@pytest.mark.parametrize("sandbox", ["read-only", "workspace-write"])
async def test_nothing_outside_is_written(tmp_path: Path, sandbox: str) -> None:
    outside, in_tmp = tmp_path / "outside", Path(f"/tmp/by-a-command-{os.getpid()}")
    outside.mkdir()
    async with shell_house(tmp_path, sandbox=sandbox) as house:
        (house.folder / "out").symlink_to(outside)
        await printed(
            house,
            f"echo x > {outside}/a; echo x > out/b; mkdir .git; echo x > .git/config; echo x > ../c; cp a d",
            f"ln -s {outside} l; echo x > l/c; mv l .agents; echo x > {in_tmp}; echo x > $HOME/e",
            "mkdir -p .codex && echo x > .codex/config.toml; echo mine > mine; cd /; echo x > f",
        )
        assert list(outside.iterdir()) == []
        assert not (tmp_path / "c").exists()
        assert not os.path.exists(in_tmp)  # noqa: ASYNC240
        there = {path.name for path in house.folder.iterdir() if path.is_file()}
        assert there == ({"mine"} if sandbox == "workspace-write" else set())
    left = {path.name for path in house.folder.iterdir()} - {"out", "mine", "l"}
    assert left == set(), "what the sandbox mounts is gone"


async def test_what_one_agent_s_sandbox_mounts_is_not_removed_by_another_s(tmp_path: Path) -> None:
    """The first command ends while the second runs: `.git`, which its sandbox made, stays shut."""
    first = "touch one; until [ -e two ]; do sleep 0.02; done"
    second = "touch two; until [ -e over ]; do sleep 0.02; done; mkdir .git; echo x > .git/config"
    async with shell_house(tmp_path) as one, shell_house(tmp_path, agent_name="other") as two:
        begun = asyncio.ensure_future(one.turn(script({"run": first})))
        async with asyncio.timeout(20):
            while not (one.folder / "one").exists():  # noqa: ASYNC110 - the command starts by itself
                await asyncio.sleep(0.02)
        late = asyncio.ensure_future(two.turn(script({"run": second})))
        await begun
        (one.folder / "over").touch()
        told = await late
        assert "Read-only file system" in outcome(told)["stdout"]
        assert not (one.folder / ".git/config").exists()


async def test_temporary_files_have_a_place(tmp_path: Path) -> None:
    async with shell_house(tmp_path) as house:
        assert await printed(house, "f=$(mktemp) && echo kept > $f && cat $f") == "kept\n"


async def test_a_command_chooses_its_folder_but_not_what_it_may_write(tmp_path: Path) -> None:
    async with shell_house(tmp_path) as house:
        (house.folder / "sub").mkdir()
        told = await house.turn(
            script(
                {"run": "echo x > here; pwd", "workdir": "sub"},
                {"run": "pwd; echo x > nope", "workdir": str(tmp_path)},
                {"run": "pwd", "workdir": "missing"},
            )
        )
        assert (house.folder / "sub/here").exists()
        assert outcome(told, number=0)["stdout"] == f"{house.folder}/sub\n"
        assert outcome(told, number=1)["stdout"].startswith(f"{tmp_path}\n")
        assert not (tmp_path / "nope").exists()
        missing = outcome(told, number=2)
        assert missing["exit_code"] != 0
        assert "missing" in missing["stdout"]


async def test_the_network_is_off_unless_it_is_allowed(tmp_path: Path) -> None:
    with listening(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ask = f"exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected"
        async with shell_house(tmp_path) as house:
            assert "connected" not in await printed(house, ask)
        async with shell_house(tmp_path, network=True) as house:
            assert house.shell.sandbox.line == "workspace-write, network on"
            assert "connected" in await printed(house, ask)


async def test_huge_output_is_cut_with_a_statement(tmp_path: Path) -> None:
    async with shell_house(tmp_path) as house:
        told = await house.turn(
            script({"run": "echo begin; head -c 3000000 /dev/zero | tr '\\0' x; echo end"})
        )
        found = outcome(told)
        assert found["stdout"].startswith("begin\nx")
        assert found["stdout"].endswith("x" * 1_000 + "end\n")
        assert "characters are left out here" in found["stdout"]
        assert len(found["stdout"]) < MAX_SHOWN * 1.1
        assert len(logged(told)) < MAX_SHOWN * 1.1
        assert "more output is not shown" in logged(told)
        (read,) = [i["output"] for i in house.model.requests[-1].body["input"] if "output" in i]
        assert len(str(read)) < MAX_READ + 1_000
        assert "characters truncated…" in str(read)


async def test_a_flood_ends_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.agent.tools.shell.running.MAX_WRITTEN", 10_000_000)
    async with shell_house(tmp_path) as house:
        told = await house.turn(script({"run": "yes"}))
        assert outcome(told)["stdout"].startswith("y\ny\n")
        assert "wrote too much" in str(house.model.requests[-1].body)


async def test_binary_output_does_no_harm(tmp_path: Path) -> None:
    garbage = "printf '\\000\\001\\377\\376ok\\303'; printf '\\251\\n'; head -c 20000 /dev/urandom"
    async with shell_house(tmp_path) as house:
        told = await house.turn(script({"run": garbage}, {"say": "fine"}))
        assert told.text == "fine"
        text = outcome(told)["stdout"]
        assert text.startswith("\ufffd\ufffd\ufffd\ufffdoké\n"), "a character cut in two is whole"
        assert not {char for char in text if ord(char) < 32} - set("\t\n\r\x1b")


async def test_commands_that_cannot_be_run_are_errors_that_the_model_reads(tmp_path: Path) -> None:
    async with shell_house(tmp_path) as house:
        calls = [{"call": "shell", "arguments": given} for given in BAD]
        told = await house.turn(script(*calls, {"say": "fine"}))
        assert told.text == "fine"
        assert [outcome(told, number=n)["code"] for n in range(len(BAD))] == ["tool_failed"] * len(BAD)
        told = await house.turn(script({"call": "shell", "arguments": {"command": ["echo", "a b"]}}))
        assert outcome(told)["stdout"] == "a b\n"


BAD: list[dict[str, object]] = [
    {},
    {"command": ""},
    {"command": "x" * 100_001},
    {"command": "a\0b"},
    {"command": 5},
    {"command": "pwd", "workdir": 5},
    {"command": "pwd", "timeout_seconds": "soon"},
]


async def test_where_no_sandbox_works_the_agent_refuses_or_asks(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("#!/bin/sh\n[ $1 = --version ] && echo codex-cli 0.163.0 || exit 1\n")
    (tmp_path / "broken").chmod(0o755)
    broken = {"PROCESS_CODEX_BINARY": str(tmp_path / "broken")}
    for mode in ("auto", "deny"):
        with pytest.raises(BackendError, match=r"does not work on this machine.*--sandbox full-access"):
            async with shell_house(tmp_path, approvals=mode, environment=broken):
                pass
    with pytest.raises(BackendError, match=r"there is none: .*Name the Codex program there"):
        async with shell_house(
            tmp_path, approvals="auto", environment={"PROCESS_CODEX_BINARY": str(tmp_path / "none")}
        ):
            pass
    async with shell_house(tmp_path, environment=broken) as house:
        assert "every command and file change asks first" in house.shell.sandbox.line
        assert house.shell.sandbox.caution is not None
        told = await house.turn(script({"run": "echo x > y"}, {"patch": ADD}))
        assert len(told.of(ApprovalRequested)) == 2
        assert list(house.folder.iterdir()) == []
    async with shell_house(tmp_path, sandbox="full-access", approvals="auto", environment=broken) as house:
        assert await printed(house, "echo free") == "free\n"


ADD = "*** Begin Patch\n*** Add File: a.txt\n+pears\n*** End Patch"


async def test_a_folder_that_holds_everything_is_refused(tmp_path: Path) -> None:
    for folder in (Path("/"), tmp_path / "data"):
        (tmp_path / "data").mkdir(exist_ok=True)
        with pytest.raises(UsageError):
            async with shell_house(tmp_path, working_dir=folder):
                pass
