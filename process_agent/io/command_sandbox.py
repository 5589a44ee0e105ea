"""Commands of backends that have no shell of their own, in the sandbox that Codex's commands run in.

`codex sandbox` runs a program under a permission profile without a model, a login or an app-server; it adds
about 50 ms to a command (tried with 0.163.0). The profile is the one Codex's own commands get
(`command_profile.py`). Each command has a guard (`child.py`), which ends everything it started, and the mark
of the agent in its environment.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from process_agent.core.backend import BackendConfig
from process_agent.errors import BackendError
from process_agent.io.child import Child, Command
from process_agent.io.codex_program import INSTALL, Program, locate
from process_agent.io.command_profile import (
    FULL_ACCESS,
    NO_SANDBOX,
    NO_SANDBOX_FIX,
    PROFILE,
    MountPoints,
    folder_name,
    profile_arguments,
    scratch_folder,
)
from process_agent.io.kept_from_commands import (
    check_folder,
    check_readable,
    fixed_parents,
    private_patterns,
    private_places,
)
from process_agent.io.leftovers import VARIABLE, Mark, mark_children
from process_agent.io.private_places import codex_homes, resolved

PROBE_SECONDS: Final = 20.0

_PASSED_ON: Final = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
_PLAIN: Final = {"TERM": "dumb", "NO_COLOR": "1", "PAGER": "cat", "GIT_PAGER": "cat", "SHLVL": "1"}
"""Nothing waits for a key, nothing draws; SHLVL keeps bash from taking its input for a network login, upon
which it would run the user's profile.
"""

_ENTER: Final = 'PATH=$1; export PATH; unset CODEX_HOME; cd -- "$2" || exit 1; shift 2; exec "$@" 2>&1'
"""Begins each command inside the sandbox: `codex sandbox` puts a folder of its own on PATH, which commands
cannot read. What goes wrong before the command runs is alone on standard error.
"""


@dataclass(frozen=True, slots=True)
class _Prepared:
    program: Program
    profile: tuple[str, ...]


class CommandSandbox:
    """Makes what has to be run for a command. Whoever starts it closes it. `line` and `caution` are for the
    start summary and for the people in the room, and hold once it is started.
    """

    def __init__(self, config: BackendConfig) -> None:
        self._config = config
        self._home = config.data_dir.absolute() / "shell" / folder_name(config.agent_name)
        self._scratch = scratch_folder(config)
        self._prepared: _Prepared | None = None
        self._mark: Mark | None = None
        self._mounts = MountPoints(config.working_dir)
        self.private: tuple[Path, ...] = ()
        """What commands must not read."""
        self.fixed: tuple[Path, ...] = ()
        """Folders of the working folder that they must not write, because something private lies below."""
        self.warnings: tuple[str, ...] = ()

    @property
    def enforced(self) -> bool:
        """Whether commands run in a sandbox."""
        return self._prepared is not None

    @property
    def asks_always(self) -> bool:
        """Whether everything asks, because nothing else keeps it in bounds."""
        return not self.enforced and self._config.approvals == "ask"

    @property
    def line(self) -> str:
        """What commands may do."""
        mode = self._config.sandbox
        if mode == "full-access":
            return "full-access: commands have all your rights, keys and logins included; no sandbox"
        if not self.enforced:
            return (
                f"{mode} cannot be enforced here: every command and file change asks first, and has all your "
                "rights when it is accepted"
            )
        return f"{mode}, {'network on' if self._config.network else 'network off'}"

    @property
    def caution(self) -> str | None:
        """What everybody who talks to the agent should know; None when nothing is out of the ordinary."""
        if self.enforced:
            return None
        return FULL_ACCESS if self._config.sandbox == "full-access" else NO_SANDBOX

    @property
    def path(self) -> str:
        """Where commands look for programs; Codex brings ripgrep."""
        path = self._config.environment.get("PATH") or os.defpath
        tools = None if self._prepared is None else self._prepared.program.tools
        return f"{path}{os.pathsep}{tools}" if tools else path

    async def start(self) -> None:
        """See whether the sandbox works. Raises `BackendError`, with what to do, where it does not and nobody
        would be asked, and `UsageError` for a folder in which commands could not be kept from anything.
        """
        config = self._config
        try:
            for folder in (self._home, self._scratch):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise BackendError(
                f"The data folder {config.data_dir} cannot be used: {error.strerror or error}.",
                fix="Choose another with --data-dir.",
            ) from error
        self._mark = await asyncio.to_thread(mark_children, self._home / "marks")
        self._mounts.forget_leftovers()
        if config.sandbox == "full-access":
            return
        home = resolved(config.home or codex_homes(config.environment)[-1])
        places = private_places(config, home, own_home=False)
        self.private, self.fixed = tuple(places), tuple(fixed_parents(config, places))
        self.warnings = tuple(check_folder(config, places))
        check_readable(config.skill_dirs, places)
        patterns = private_patterns(home, own_home=False)
        arguments = profile_arguments(config, places, patterns, self._scratch)
        try:
            program = await self._locate()
            prepared = _Prepared(program, tuple(arguments))
            await self._probe(prepared)
        except BackendError:
            if config.approvals != "ask":
                raise
            return
        self._prepared = prepared

    def command(
        self, arguments: Sequence[str], *, folder: Path, workdir: Path, inside: bool = True
    ) -> Command:
        """What to run so that a program runs in `workdir`, with its two outputs in one. `folder` is what it
        may write below; not `inside`, and where nothing is enforced, it has all rights of the user.
        """
        path = self.path
        entered = ["/bin/sh", "-c", _ENTER, "sh", path, str(workdir), *arguments]
        environment = self._environment(path)
        if not inside or self._prepared is None:
            return Command(entered, environment, folder)
        return _inside(self._prepared, entered, environment, folder, self._home)

    async def close(self) -> None:
        """End everything that bears the agent's mark. Idempotent.

        Only now the folders go that the sandbox left behind: removed while a command runs, perhaps Codex's,
        they would no longer be kept from it (tried: the mount goes with its folder).
        """
        mark, self._mark = self._mark, None
        if mark is not None:
            await asyncio.to_thread(mark.remove)
            self._mounts.remove()

    async def _locate(self) -> Program:
        try:
            return await locate(self._config.environment, self._home)
        except BackendError as error:
            raise BackendError(
                f"Commands run in Codex's sandbox, and there is none: {error.message}",
                fix=f"{error.fix or INSTALL} Or {NO_SANDBOX_FIX.partition('or ')[2]}",
            ) from error

    async def _probe(self, prepared: _Prepared) -> None:
        """Run a program in the sandbox. Raises `BackendError` when that fails."""
        command = _inside(
            prepared, ["true"], self._environment(self.path), self._config.working_dir, self._home
        )
        child = await Child.spawn(command)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                while await child.read():
                    pass
                code = await child.wait()
        except TimeoutError:
            code = -1
        finally:
            await child.stop(grace=0)
        if code != 0:
            said = child.stderr_tail()[-500:].strip() or f"exit status {code}"
            raise BackendError(
                f"The {self._config.sandbox} sandbox does not work on this machine: {said}.",
                fix=NO_SANDBOX_FIX,
            )

    def _environment(self, path: str) -> dict[str, str]:
        """All that commands get of the environment: no key, no token, no proxy with a password."""
        given: Mapping[str, str] = self._config.environment
        found = {name: given[name] for name in _PASSED_ON if given.get(name)}
        found |= {"PATH": path, **_PLAIN}
        if self._config.sandbox == "workspace-write":
            found["TMPDIR"] = str(self._scratch)
        if self._mark is not None:
            found[VARIABLE] = self._mark.word
        return found


def shell_of(path: str) -> str:
    """The shell that runs scripts: bash where there is one, as models expect it; the system's before others,
    for PATH may name folders that commands can write.
    """
    own = next((name for name in ("/bin/bash", "/usr/bin/bash") if os.access(name, os.X_OK)), None)
    return own or shutil.which("bash", path=path) or "/bin/sh"


def _inside(
    prepared: _Prepared,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    home: Path,
) -> Command:
    words = [str(prepared.program.path), "sandbox", *prepared.profile]
    words += ["-P", PROFILE, "-C", str(folder), "--", *arguments]
    return Command(words, {**environment, "CODEX_HOME": str(home)}, folder)
