"""Agent skills: folders with a file SKILL.md, which begins with a name and a description.

The format is that of agentskills.io, as Codex and others read it: lines of YAML between two lines `---`, then
instructions for whoever takes the task up. Of YAML only what such heads have is read: texts, quoted or not,
on one line or several.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from process_agent.errors import UsageError

FILE: Final = "SKILL.md"
MAX_DEPTH: Final = 6
"""Folders below the one that was named in which skills are looked for."""

MAX_FOLDERS: Final = 2_000
MAX_HEAD: Final = 64 * 1024
MAX_NAME: Final = 100
MAX_DESCRIPTION: Final = 1_024

_FIX: Final = "A skill is a folder with a file SKILL.md that says its name and description."


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill and its folder, resolved."""

    name: str
    description: str
    folder: Path


def find_skills(folders: Sequence[Path]) -> tuple[Skill, ...]:
    """The skills in these folders, each of which is one or holds some; of two with one name the first counts.
    Raises `UsageError` for a folder without any.
    """
    found: dict[str, Skill] = {}
    for folder in folders:
        here, wrong = [], None
        for place in _places(folder):
            skill = read_skill(place)
            if isinstance(skill, Skill):
                here.append(skill)
            else:
                wrong = wrong or f"{place / FILE} {skill}"
        if not here:
            raise UsageError(f"--skill-dir {folder} holds no skill{f': {wrong}' if wrong else ''}.", fix=_FIX)
        for skill in here:
            found.setdefault(skill.name, skill)
    return tuple(found[name] for name in sorted(found))


def read_skill(folder: Path) -> Skill | str:
    """The skill in a folder, or what is wrong with it."""
    try:
        with open(folder / FILE, encoding="utf-8") as file:
            text = file.read(MAX_HEAD)
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read: {error}"
    head = front_matter(text)
    name, description = head.get("name", ""), head.get("description", "")
    if not name or not description:
        return "does not say its name and description"
    if len(name) > MAX_NAME or not name.isprintable():
        return f"has a name that is no word of at most {MAX_NAME} characters"
    return Skill(name, description[:MAX_DESCRIPTION], folder.resolve())


def front_matter(text: str) -> dict[str, str]:
    """The texts in the head of a file. Pure; what is no text is left out."""
    lines = text.lstrip("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != "---":
        return {}
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "...")), None)
    found: dict[str, str] = {}
    key: str | None = None
    parts: list[str] = []
    for line in [] if end is None else [*lines[1:end], "end:"]:
        if line[:1] in (" ", "\t") or not line.strip():
            parts.append(line.strip())
            continue
        if key is not None and (value := _value(parts)):
            found[key] = value
        name, colon, rest = line.partition(":")
        key = name.strip() if colon and not line.startswith("#") else None
        parts = [rest.strip()]
    return found


def _value(parts: Sequence[str]) -> str:
    first, rest = parts[0], parts[1:]
    if first[:1] in ("|", ">"):
        return ("\n" if first[0] == "|" else " ").join(rest).strip()
    text = " ".join(part for part in parts if part)
    if text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
        try:
            return str(msgspec.json.decode(text))
        except msgspec.DecodeError:
            return text[1:-1]
    if text[:1] == "'" and text[-1:] == "'" and len(text) > 1:
        return text[1:-1].replace("''", "'")
    return text.partition(" #")[0].strip()


def _places(folder: Path) -> Iterator[Path]:
    """Folders with a SKILL.md; none below another is one."""
    seen: set[tuple[int, int]] = set()
    for count, (name, folders, files) in enumerate(os.walk(folder, followlinks=True)):
        here = Path(name)
        about = here.stat()
        again = (about.st_dev, about.st_ino) in seen
        seen.add((about.st_dev, about.st_ino))
        if again or count >= MAX_FOLDERS or len(here.relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()
        if FILE in files and not again:
            folders.clear()
            yield here
        folders.sort()
