"""Runs `git`, in repositories of the user and in one of our own, with nothing of our environment in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from process_agent.errors import WorkspaceError
from process_agent.io.run import Finished, run

GIT_SECONDS: Final = 30.0
"""How long one call may take."""

MISSING: Final = "git was not found on PATH"

_PASSED_ON: Final = ("PATH", "HOME", "XDG_CONFIG_HOME", "USER", "LOGNAME", "TMPDIR", "SYSTEMROOT")

_CAREFUL: Final = (
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.quotePath=false",
    "-c", "diff.ignoreSubmodules=all",
    "-c", "submodule.recurse=false",
)  # fmt: skip
"""Nothing that a repository's files name is run: a command could have written it to leave its sandbox."""


@dataclass(frozen=True, slots=True)
class Git:
    """Calls of git in one folder. `settings` are further `-c` values, `variables` further environment."""

    folder: Path
    environment: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    seconds: float = GIT_SECONDS

    async def __call__(
        self, *arguments: str, given: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> bytes:
        """What a call puts out. Raises `WorkspaceError` when it fails."""
        done = await self.ask(*arguments, given=given, variables=variables)
        if done.code != 0:
            said = done.errors.strip().splitlines()
            raise WorkspaceError(f"git {arguments[0]} failed: {said[-1] if said else done.code}")
        return done.output

    async def ask(
        self, *arguments: str, given: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> Finished:
        """The outcome of a call whose exit code says something. Raises `WorkspaceError` when git is missing
        or takes too long.
        """
        settings = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        passed = {name: self.environment[name] for name in _PASSED_ON if name in self.environment}
        fixed = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        try:
            return await run(
                ["git", *_CAREFUL, *settings, *arguments],
                folder=self.folder,
                environment={**passed, **fixed, **self.variables, **(variables or {})},
                seconds=self.seconds,
                given=given,
            )
        except FileNotFoundError as error:
            gone = not self.folder.is_dir()
            raise WorkspaceError(f"{self.folder} is gone" if gone else MISSING) from error
        except OSError as error:
            raise WorkspaceError(f"git cannot be run: {error.strerror or error}") from error
        except TimeoutError as error:
            raise WorkspaceError(f"git {arguments[0]} took longer than {self.seconds:.0f} s") from error


def lines_of(output: bytes) -> list[str]:
    """The parts of an answer to `-z`, as paths."""
    return [part.decode("utf-8", "surrogateescape") for part in output.split(b"\0") if part]
