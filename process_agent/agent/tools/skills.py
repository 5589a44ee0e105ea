"""`read_skill`: the instructions of a skill, and its other files, for models that read them by a tool."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from process_agent.agent.tools.tool import Call, Tool, Toolkit, parameters, said, text_argument
from process_agent.core.recalled import SKILLS
from process_agent.core.tools import ToolOutput, ToolSpec
from process_agent.errors import ToolFailedError
from process_agent.io.beneath import read_beneath
from process_agent.io.skills import FILE, Skill

MAX_FILE: Final = 1024 * 1024
"""Bytes of a file of a skill that is read."""

MAX_LISTED: Final = 100

_ABOUT: Final = "Read a skill before you take up what it is for: its instructions, or another of its files."


def skills_toolkit(skills: Sequence[Skill]) -> Toolkit:
    """The toolkit."""
    by_name = {skill.name: skill for skill in skills}

    async def read(call: Call) -> ToolOutput:
        skill = by_name.get(call.text("name"))
        if skill is None:
            raise ToolFailedError(f"There is no such skill; there is {', '.join(by_name)}.")
        name = call.text("file", required=False) or FILE
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
            raise ToolFailedError(f"{name[:200]!r} is not the path of a file in the skill.")
        data = await asyncio.to_thread(read_beneath, skill.folder, path, MAX_FILE)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise ToolFailedError(f"{path} is no text.") from error
        if str(path) != FILE:
            return said(text)
        others = await asyncio.to_thread(_others, skill)
        return said(f"{text}\n\n[The skill is in {skill.folder}.{_listed(others)}]")

    spec = ToolSpec(
        "read_skill",
        _ABOUT,
        parameters(
            ["name"],
            name=text_argument("name of the skill"),
            file=text_argument(f"path of a file in the skill; {FILE} by default"),
        ),
    )
    return Toolkit(SKILLS, _ABOUT, (Tool(spec, read),), "Skills", plain=True, local=True)


def _others(skill: Skill) -> list[str]:
    """The other files of a skill, as many as are listed and one more."""
    found: list[str] = []
    for folder, folders, files in os.walk(skill.folder):
        folders.sort()
        below = os.path.relpath(folder, skill.folder)
        found += [os.path.normpath(os.path.join(below, name)) for name in sorted(files)]
        if len(found) > MAX_LISTED + 1:
            break
    return [name for name in found if name != FILE]


def _listed(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = ", and more" if len(names) > MAX_LISTED else ""
    return f" Its other files: {', '.join(names[:MAX_LISTED])}{more}."
