"""Agent skills of the operator: folders given to Codex beside those it finds by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.codex.app_server import AppServer
from backends.codex.items import shorten
from backends.codex.shapes import dicts
from process_agent.errors import UsageError


async def offer_skills(server: AppServer, folders: Sequence[Path], working_dir: Path) -> tuple[str, ...]:
    """Have Codex name the skills of these folders to its models. Returns the names.

    Raises `UsageError` for a folder that holds none.
    """
    if not folders:
        return ()
    await server.request("skills/extraRoots/set", {"extraRoots": [str(folder) for folder in folders]})
    answer = await server.request("skills/list", {"cwds": [str(working_dir)], "forceReload": True})
    return found_skills(answer, folders)


def found_skills(listed: dict[str, Any], folders: Sequence[Path]) -> tuple[str, ...]:
    """Names of the skills in these folders, from `skills/list`. Raises `UsageError` for one without any."""
    entries = dicts(listed.get("data"))
    skills = [skill for entry in entries for skill in dicts(entry.get("skills"))]
    errors = [error for entry in entries for error in dicts(entry.get("errors"))]
    names: dict[str, None] = {}
    for folder in folders:
        here = [str(skill.get("name")) for skill in skills if _below(skill, folder)]
        if not here:
            wrong = next((str(error.get("message")) for error in errors if _below(error, folder)), None)
            why = f": {shorten(wrong, 300)}" if wrong else ""
            raise UsageError(
                f"--skill-dir {folder} holds no skill{why}.",
                fix="A skill is a folder with a file SKILL.md that says its name and description.",
            )
        names.update(dict.fromkeys(here))
    return tuple(names)


def _below(entry: dict[str, Any], folder: Path) -> bool:
    path = Path(str(entry.get("path")))
    return path.is_relative_to(folder) or path.is_relative_to(folder.resolve())
