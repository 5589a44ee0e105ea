"""Find the Codex program and make sure that it is new enough."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from process_agent.errors import BackendError
from process_agent.io.child import Child, Command

MINIMUM: Final = (0, 163, 0)
"""Oldest app-server this backend was tried with."""

OVERRIDE: Final = "PROCESS_CODEX_BINARY"
"""Variable that names the program to use instead of the installed one."""

INSTALL: Final = "Install it with: pip install 'process-agent[codex]'."
_OR: Final = f"unset {OVERRIDE}: the installed Codex is used then."
_NAMED: Final = f"Name the Codex program there, or {_OR}"
_ANOTHER: Final = f"Name another program in {OVERRIDE}, or {INSTALL[0].lower()}{INSTALL[1:]}"
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_TIMEOUT: Final = 20.0

type Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Program:
    """The Codex program; `tools` is a folder with programs it likes to find on PATH (ripgrep)."""

    path: Path
    version: Version
    tools: Path | None = None

    @property
    def version_text(self) -> str:
        """Like 0.163.0."""
        return ".".join(map(str, self.version))


async def locate(environment: Mapping[str, str], folder: Path) -> Program:
    """The program named by `PROCESS_CODEX_BINARY`, that of the wheel, or `codex` on PATH, in this order.

    `folder` has to exist; Codex gets it as its home when it is asked for its version.

    Raises `BackendError` when there is none, when it cannot be run, or when it is too old.
    """
    path, tools = find(environment)
    version = check_version(await _version_text(path, environment, folder), path)
    return Program(path, version, tools)


def find(environment: Mapping[str, str]) -> tuple[Path, Path | None]:
    """Path of the program and of its folder of tools. Raises `BackendError` when there is none."""
    chosen = environment.get(OVERRIDE)
    if chosen:
        path = Path(chosen).expanduser().absolute()  # it runs in other folders than this one
        if not path.is_file():
            raise BackendError(f"{OVERRIDE} names {chosen}, and there is no such file.", fix=_NAMED)
        if not os.access(path, os.X_OK):
            raise BackendError(
                f"{OVERRIDE} names {chosen}, which may not be executed.",
                fix=f"Make it so (chmod +x), or {_OR}",
            )
        return path, None
    bundled = _bundled()
    if bundled is not None:
        return bundled
    on_path = shutil.which("codex", path=environment.get("PATH", ""))
    if on_path:
        return Path(on_path), None
    raise BackendError("The Codex program is not installed.", fix=INSTALL)


def check_version(text: str, path: Path) -> Version:
    """The version in what `--version` or the server's user agent says. Raises `BackendError` if too old."""
    found = _VERSION.search(text)
    if found is None:
        raise BackendError(
            f"{path} does not say its version; is it Codex? It said: {text.strip()[:200]!r}.", fix=_ANOTHER
        )
    version = (int(found[1]), int(found[2]), int(found[3]))
    if version < MINIMUM:
        wanted = ".".join(map(str, MINIMUM))
        raise BackendError(
            f"Codex {found[0]} at {path} is too old: {wanted} or newer is needed.",
            fix=f"Update it, or {INSTALL[0].lower()}{INSTALL[1:]}",
        )
    return version


def _bundled() -> tuple[Path, Path | None] | None:
    try:
        import codex_cli_bin
    except ImportError:
        return None
    try:
        return codex_cli_bin.bundled_codex_path(), codex_cli_bin.bundled_path_dir()
    except FileNotFoundError as error:
        said = str(error).rstrip(".")
        raise BackendError(f"The installed Codex is damaged: {said}.", fix=INSTALL) from error


async def _version_text(path: Path, environment: Mapping[str, str], folder: Path) -> str:
    few = {name: environment[name] for name in ("PATH", "HOME") if name in environment}
    child = await Child.spawn(Command([str(path), "--version"], {**few, "CODEX_HOME": str(folder)}, folder))
    output = b""
    try:
        async with asyncio.timeout(_TIMEOUT):
            while data := await child.read():
                output = (output + data)[:4096]
            code = await child.wait()
    except TimeoutError as error:
        raise BackendError(f"{path} --version did not end within {_TIMEOUT:g} s.", fix=_ANOTHER) from error
    finally:
        await child.stop(grace=0)
    if code != 0:
        said = child.stderr_tail() or output.decode(errors="replace")
        raise BackendError(
            f"{path} --version ended with {code}: {(said[-500:].strip() or 'no message').rstrip('.')}.",
            fix=_ANOTHER,
        )
    return output.decode(errors="replace")
