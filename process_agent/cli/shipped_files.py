"""Files of this machine that travel with a service document and are found below `/etc/process` again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.services.document import ShippedFile

FOLDER = "/etc/process"
"""Where the container finds them."""

MAX_FILES = 100
MAX_BYTES = 512 * 1024
"""Most bytes of all files of one service."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """The files, and the flags that name them in the container."""

    files: tuple[ShippedFile, ...]
    flags: tuple[str, ...]


def shipped_files(params: Mapping[str, Any], ours: Collection[str] = ()) -> Shipped:
    """The rules files and the file about models always; skills and `--mcp-config` when they are named from
    here, not from the root: a path from the root is the container's, unless the parameter is one of `ours`,
    whose paths are all of this machine. Raises `UsageError`.
    """
    files: list[ShippedFile] = []
    flags: list[str] = []

    def add(flag: str, place: str, found: Sequence[tuple[str, Path]]) -> None:
        from process_agent.services.document import ShippedFile

        flags.extend((flag, place))
        files.extend(ShippedFile(path, _text(flag, file)) for path, file in found)

    def travels(name: str, path: str) -> bool:
        return name in ours or not PurePosixPath(path).is_absolute()

    for number, file in enumerate(params["rules_file"] or (), 1):
        place = f"{FOLDER}/rules-{number}.txt"
        add("--rules-file", place, [(place, Path(file).expanduser())])
    if params["models_file"] is not None:
        models, place = Path(params["models_file"]).expanduser(), f"{FOLDER}/models.toml"
        _check_models(models)
        add("--models-file", place, [(place, models)])
    if params["mcp_config"] is not None:
        own = params["mcp_config"]
        place = f"{FOLDER}/mcp.toml" if travels("mcp_config", own) else own
        add("--mcp-config", place, [] if place == own else [(place, Path(own).expanduser())])
    for number, own in enumerate(params["skill_dir"] or (), 1):
        place = f"{FOLDER}/skills-{number}" if travels("skill_dir", own) else own
        add("--skill-dir", place, [] if place == own else _below(Path(own).expanduser(), place))
    if len(files) > MAX_FILES or sum(len(file.text.encode()) for file in files) > MAX_BYTES:
        raise UsageError(
            f"The files that would travel along are more than {MAX_FILES}, or {MAX_BYTES} bytes.",
            fix="Put them into the image, or into the room's storage below /data.",
        )
    return Shipped(tuple(files), tuple(flags))


def _check_models(file: Path) -> None:
    from process_agent.io.model_facts import read_own

    read_own(file)


def _below(folder: Path, place: str) -> list[tuple[str, Path]]:
    """The files of skills, links left out. Raises `UsageError` for a folder without a skill."""
    from process_agent.io.skills import find_skills

    if not folder.is_dir():
        raise UsageError(
            f"--skill-dir {str(folder)!r} is no folder here.",
            fix="Name a folder of the container from its root, like /data/skills.",
        )
    find_skills([folder])
    found = sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return [(f"{place}/{file.relative_to(folder).as_posix()}", file) for file in found[: MAX_FILES + 1]]


def _text(flag: str, file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise UsageError(f"{flag}: {file} is larger than {MAX_BYTES} bytes.")
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{flag}: {file} cannot be read: {reason}.") from error
