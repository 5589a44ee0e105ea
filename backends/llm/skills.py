"""Agent skills, as models are told of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from process_agent.io.skills import Skill

MAX_TEXT: Final = 20_000
"""Characters of names and descriptions that every request carries."""

_ABOUT: Final = (
    "Skills are instructions for certain tasks. When a task is what one of these is for, or somebody names "
    "it, read it with read_skill first and do as it says; its other files are in the same folder."
)


def skills_text(skills: Sequence[Skill]) -> str:
    """What a model is told: each skill's name, what it is for, and where it is. Empty without any."""
    if not skills:
        return ""
    lines, room = [_ABOUT], MAX_TEXT
    for skill in skills:
        line = f"- {skill.name}: {' '.join(skill.description.split())} ({skill.folder})"
        room -= len(line)
        if room < 0:
            lines.append(f"- (and {len(skills) - len(lines) + 1} more, which have no room here)")
            break
        lines.append(line)
    return "\n".join(lines)
