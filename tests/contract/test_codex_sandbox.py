"""Commands of the real Codex try to get at what the sandbox keeps from them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from codex_cli_bin import bundled_codex_path

from process_agent.core.backend import BackendThread
from process_agent.core.decisions import Decision
from process_agent.core.events import ApprovalRequested
from process_agent.errors import BackendError, UsageError
from process_agent.io.private_places import LOGINS
from tests.contract.codex_room import Room, codex_room, script

SECRET = "the-secret-that-nobody-may-read"
UPDATE = "*** Begin Patch\n*** Update File: {path}\n@@\n-x\n+y\n*** End Patch"
FOLDERS = {".codex": "auth.json", ".meshagent": "project.json", ".ssh": "id_ed25519", ".gnupg": "key"}

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, makes namespaces")


async def said(room: Room, thread: BackendThread, *commands: str) -> str:
    """What commands print, one after the other; what asks for an approval is declined."""
    runs = [{"run": command} for command in commands]
    told = await room.turn(
        thread,
        script(*runs, {"report": True}),
        lambda e: (
            thread.decide(e.ref.item_id, Decision.DECLINE) if isinstance(e, ApprovalRequested) else None
        ),
    )
    assert len(told.tools("shell")) == len(commands)
    return told.text


def hide(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SECRET)
    return path


def logins(home: Path) -> list[Path]:
    """A secret in every login below a home folder."""
    return [hide(home / name / FOLDERS[name] if name in FOLDERS else home / name) for name in LOGINS]


@contextmanager
def listening(address: str | tuple[str, int]) -> Iterator[socket.socket]:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
        yield server


# --- Reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sandbox", ["read-only", "workspace-write"])
async def test_no_login_and_nothing_of_the_room_can_be_read(tmp_path: Path, sandbox: str) -> None:
    """Not by name, not through links, not through the folders of processes, not by Codex's own tools."""
    home, elsewhere, real_data = Path(os.environ["HOME"]), tmp_path / "elsewhere", tmp_path / "real-data"
    secrets = logins(home)
    shutil.move(home / ".codex", elsewhere)
    (home / ".codex").symlink_to(elsewhere)
    real_data.mkdir()
    (tmp_path / "data").symlink_to(real_data)
    (tmp_path / "kube").write_text(SECRET)
    (tmp_path / "work").mkdir()
    secrets += [elsewhere / "auth.json", tmp_path / "data/signing-key", real_data / "signing-key"]
    secrets += [hide(real_data / "signing-key"), tmp_path / "kube"]
    variables = {"KUBECONFIG": f"relative:{tmp_path}/kube"}
    async with codex_room(tmp_path, sandbox=sandbox, environment=variables) as room:
        assert dict(room.summary.lines)["sandbox"].startswith(f"{sandbox}, "), "it can be enforced"
        assert room.summary.caution is None
        (room.folder / "link").symlink_to(home)
        (room.folder / "key.png").symlink_to(real_data / "signing-key")
        names = " ".join(map(str, secrets))
        outside = f"{os.getpid()} {os.getppid()} {room.app_server()}"
        thread = await room.thread()
        output = await said(
            room,
            thread,
            f"cat {names}; cat link/.codex/auth.json link/.ssh/* key.png",
            "for p in /proc/[0-9]* /proc/self; do "
            f"cat $p/environ $p/root{elsewhere}/auth.json $p/cwd/key.png; done",
            f"for p in {outside}; do cat /proc/$p/environ; kill -0 $p; done",
            f"ln {real_data}/signing-key hard; cat hard; tar cf - {home} | strings; grep -r '' {home}",
        )
        assert SECRET not in output
        assert room.model.api_key not in output
        assert "Permission denied" in output
        assert output.count("No such process") == 3, "processes outside of the sandbox are not to be seen"
        told = await room.turn(
            thread,
            script(
                {"call": "view_image", "arguments": {"path": "key.png"}},
                {"call": "view_image", "arguments": {"path": str(elsewhere / "auth.json")}},
                {"patch": UPDATE.format(path=real_data / "signing-key")},
                {"report": True},
            ),
        )
        assert SECRET not in str(told.events)
        assert told.text.count("unable to locate image") + told.text.count("Permission denied") >= 2


@pytest.mark.parametrize("sandbox", ["read-only", "workspace-write"])
async def test_what_codex_makes_later_in_the_users_home_cannot_be_read(tmp_path: Path, sandbox: str) -> None:
    """A fresh home holds the login alone; databases, records and folders come when Codex runs."""
    home = tmp_path / "home"
    (home / "skills/weighing").mkdir(parents=True)
    (home / "skills/weighing/SKILL.md").write_text("Use the scales.")
    (home / "AGENTS.md").write_text("Never say please.")
    hide(home / "auth.json").write_text(f'{{"OPENAI_API_KEY": "{SECRET}"}}')
    async with codex_room(tmp_path, home=home, sandbox=sandbox) as room:
        thread = await room.thread()
        await room.turn(thread, script({"say": "the-words-of-the-conversation"}))
        late = [home / "session_index.jsonl", *(home / name / "late" for name in ("memories", "log"))]
        for path in late:
            hide(path)
        told = [path for path in home.rglob("*") if path.is_file() and b"words-of-the" in path.read_bytes()]
        assert len(told) > 1, "Codex wrote the conversation down, in more than the rollout"
        output = await said(
            room,
            thread,
            f"find {home} -type f -exec cat {{}} + | strings | grep -e {SECRET[:9]} -e words-of-.he",
            f"cat {home}/*.sqlite* {home}/*.json* {home}/auth.json {home}/log/* {home}/memories/* | wc -c",
            f"cat {home}/skills/weighing/SKILL.md {home}/AGENTS.md",
        )
        assert SECRET not in output
        assert "words-of-the-conversation" not in output
        assert "Use the scales." in output
        assert "Never say please." in output
        assert not [
            path for path in home.rglob("*") if path.is_file() and path.stat().st_mode & 0o777 == 0o444
        ]


async def test_what_is_hidden_cannot_be_moved_into_the_open(tmp_path: Path) -> None:
    """A folder above a login would hide it until the next command only."""
    home = Path(os.environ["HOME"])
    hide(home / ".config/gh/hosts.yml")
    hide(home / ".ssh/id_ed25519")
    hide(home / ".aws/credentials")
    async with codex_room(tmp_path, working_dir=home, data_dir=home / "deep/er/data") as room:
        hide(home / "deep/er/data/signing-key")
        warnings = [text for name, text in room.summary.lines if name == "warning"]
        assert any("home folder" in text for text in warnings)
        assert any(f"{home}/.config, {home}/deep, {home}/deep/er" in text for text in warnings)
        output = await said(
            room,
            await room.thread(),
            "mv .config c; mv .ssh s; mv .aws a; mv deep d; mv deep/er e; mkdir there; touch free; ls -A",
            "cat c/gh/* s/* a/* d/er/data/* e/data/* deep/er/data/signing-key .config/gh/hosts.yml .ssh/*",
        )
        assert SECRET not in output
        assert (home / "free").exists(), "the rest of the folder can be written"
        for name in (".config/gh", ".ssh", ".aws", "deep/er/data"):
            assert (home / name).is_dir(), "it is where it was"


@pytest.mark.parametrize("where", ["data", "data/inside", "home/.ssh", "/", "."])
async def test_a_folder_that_cannot_be_worked_in_is_refused_with_the_reason(
    tmp_path: Path, where: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    folder = tmp_path / where
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.raises(UsageError, match=r"commands must not read|everything of yours") as refused:
        async with codex_room(tmp_path, working_dir=folder, environment={"HOME": str(home)}):
            raise AssertionError("it started")
    assert "--working-dir" in str(refused.value)


# --- Writing ---------------------------------------------------------------------------------------


async def test_nothing_is_left_that_runs_later_outside(tmp_path: Path) -> None:
    """No hook of Git, no configuration of Codex, nothing behind a link that leads out."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "work/.git/hooks").mkdir(parents=True)
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        output = await said(
            room,
            thread,
            f"ln -s {outside} out; echo x > out/a; echo x > .git/hooks/pre-commit; echo x >> .git/config",
            "mkdir .codex; echo x > .codex/config.toml; mv .git g; ls -A",
        )
        assert output.count("Read-only file system") >= 4
        assert "cannot move" in output
        asked: list[ApprovalRequested] = []

        def decline(event: object) -> object:
            if not isinstance(event, ApprovalRequested):
                return None
            asked.append(event)
            return thread.decide(event.ref.item_id, Decision.DECLINE)

        names = [".git/hooks/pre-commit", ".codex/config.toml"]
        await room.turn(thread, script(*({"write": n, "content": "x\n"} for n in names)), decline)
        assert len(asked) == 2
        told = await room.turn(
            thread, script({"write": "out/b", "content": "x\n"}, {"report": True}), decline
        )
        assert "Failed to write" in told.text
        assert list(outside.iterdir()) == []
        assert not (room.folder / ".git/hooks/pre-commit").exists()
        assert not (room.folder / ".codex/config.toml").exists()


# --- Network and sockets ---------------------------------------------------------------------------

CONNECT = """python3 - <<'END'
import socket
for address in {addresses!r}:
    try:
        socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET).connect(address)
        print("connected", address)
    except OSError as error:
        print("refused", address, error)
END"""


@needs_linux
@pytest.mark.parametrize("network", [False, True])
async def test_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: bool) -> None:
    """Without the network there are none. With it, those of programs that run anything for their user are
    hidden: a session bus, a terminal multiplexer, an agent of keys."""
    runtime = tmp_path / "run"
    runtime.mkdir()
    monkeypatch.chdir(tmp_path)  # names of Unix sockets are short
    with (
        listening("run/bus") as bus,
        listening("agent") as keys,
        listening(f"\0process-{os.getpid()}") as abstract,
        listening(("127.0.0.1", 0)) as inet,
    ):
        assert bus.getsockname() == "run/bus"
        assert keys.getsockname() == "agent"
        nameless = abstract.getsockname().decode()
        hidden = ["../run/bus", "../agent"]
        port = inet.getsockname()
        environment = {"XDG_RUNTIME_DIR": str(runtime), "SSH_AUTH_SOCK": str(tmp_path / "agent")}
        async with codex_room(tmp_path, network=network, environment=environment) as room:
            output = await said(
                room, await room.thread(), CONNECT.format(addresses=[*hidden, nameless, port])
            )
        assert output.count("connected") == (2 if network else 0), "names without files cannot be hidden"
        assert output.count("refused ../") == 2


# --- Without a sandbox -----------------------------------------------------------------------------


@pytest.fixture
def no_namespaces(tmp_path: Path) -> str:
    """A Codex that finds no namespaces and no capabilities, as in many containers."""
    drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    shell = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" "$@"'
    outer = ["unshare", "--user", "--map-root-user", "sh", "-c", shell, *drop]
    if not shutil.which("setpriv") or subprocess.run([*outer, "true"], capture_output=True).returncode:
        pytest.skip("namespaces cannot be taken away here")
    program = tmp_path / "codex-without-namespaces"
    words = " ".join(f"'{word}'" for word in [*outer, str(bundled_codex_path())])
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    return str(program)


@needs_linux
@pytest.mark.parametrize("approvals", ["deny", "auto"])
async def test_without_namespaces_it_does_not_start_and_says_what_to_do(
    tmp_path: Path, no_namespaces: str, approvals: str
) -> None:
    with pytest.raises(BackendError, match="namespace") as refused:
        async with codex_room(
            tmp_path, approvals=approvals, environment={"PROCESS_CODEX_BINARY": no_namespaces}
        ):
            raise AssertionError("it started")
    assert refused.value.exit_code == 5
    for way in ("user namespaces", "--approvals ask", "--sandbox full-access"):
        assert way in str(refused.value)


@needs_linux
@pytest.mark.parametrize("decision", [Decision.ACCEPT, Decision.DECLINE])
async def test_without_namespaces_every_step_asks(
    tmp_path: Path, no_namespaces: str, decision: Decision
) -> None:
    async with codex_room(tmp_path, environment={"PROCESS_CODEX_BINARY": no_namespaces}) as room:
        line = dict(room.summary.lines)["sandbox"]
        assert "cannot be enforced here: every command and file change asks first" in line
        assert "all your rights" in line
        assert room.summary.caution is not None
        thread = await room.thread()
        asked: list[str] = []

        def decide(event: object) -> object:
            if not isinstance(event, ApprovalRequested):
                return None
            asked.append(event.ref.tool)
            return thread.decide(event.ref.item_id, decision)

        told = await room.turn(
            thread,
            script({"run": "ls; touch made"}, {"write": "a", "content": "a\n"}, {"say": "over"}),
            decide,
        )
        assert asked == ["shell", "apply_patch"]
        assert told.text == "over"
        names = sorted(path.name for path in room.folder.iterdir())
        assert names == (["a", "made"] if decision is Decision.ACCEPT else [])


async def test_full_access_says_what_it_is(tmp_path: Path) -> None:
    key = hide(Path(os.environ["HOME"]) / ".ssh/id")
    async with codex_room(tmp_path, sandbox="full-access", approvals="auto") as room:
        assert "keys and logins included" in dict(room.summary.lines)["sandbox"]
        assert room.summary.caution is not None
        assert "keys and logins included" in room.summary.caution, "people in the room learn it, too"
        assert SECRET in await said(room, await room.thread(), f"cat {key}")
