"""Reading the text of a `process.toml`: keys are long flags, tables `[profiles.NAME]` hold others. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from process_agent.cli.settings_places import NO_FILES
from process_agent.errors import UsageError

type Kind = Literal["text", "switch", "integer", "number", "path", "list", "paths"]

PROFILES: Final = "profiles"
MAX_PROFILE_NAME: Final = 60

_WANTED: Final[Mapping[Kind, str]] = {
    "text": 'a text, like "chat"',
    "switch": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "path": 'a path, like "notes"',
    "list": 'a list of texts, like ["chat"]',
    "paths": 'a list of paths, like ["rules.txt"]',
}
_TABLE: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
_KEY: Final = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*=""")


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a file. `line` is None where the file is written in a way that hides it."""

    value: Any
    file: str
    line: int | None

    @property
    def place(self) -> str:
        """File and line."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


type Layer = Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file: what holds always, and its profiles by name."""

    path: Path
    always: Layer
    profiles: Mapping[str, Layer]


def parse(text: str, path: Path, known: Mapping[str, Kind]) -> SettingsFile:
    """The file, checked whole: a mistake in a profile that is not used is one too.

    Raises `UsageError` that names file, line and key, and the nearest key that there is.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}.") from error
    lines = lines_of(text)
    tables = raw.pop(PROFILES, {})
    if not isinstance(tables, dict):
        raise UsageError(f"{path}: {PROFILES} is not a table.", fix=f"Write [{PROFILES}.NAME].")
    profiles = {}
    for name, table in tables.items():
        where = f"{PROFILES}.{name}"
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {where} is not a table.", fix=f"Write [{PROFILES}.NAME].")
        if not name.strip() or len(name) > MAX_PROFILE_NAME or not name.isprintable() or name == NO_FILES:
            raise UsageError(f"{path}: {name[:MAX_PROFILE_NAME]!r} cannot be a profile's name.")
        profiles[name] = _layer(table, path, known, lines, where)
    return SettingsFile(path, _layer(raw, path, known, lines, ""), profiles)


def lines_of(text: str) -> dict[tuple[str, str], int]:
    """Where keys stand, by table and key, as far as a look at each line tells."""
    found: dict[tuple[str, str], int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.fullmatch(line):
            table = ".".join(part.strip().strip("\"'") for part in header[1].split("."))
        elif key := _KEY.match(line):
            name = next(part for part in key.groups() if part is not None)
            found.setdefault((table, name), number)
    return found


def _layer(
    table: Mapping[str, Any],
    path: Path,
    known: Mapping[str, Kind],
    lines: Mapping[tuple[str, str], int],
    where: str,
) -> Layer:
    layer = {}
    for key, value in table.items():
        entry = Entry(value, str(path), lines.get((where, key)))
        if key not in known:
            raise _unknown(key, entry.place, known)
        layer[key] = Entry(_checked(key, known[key], value, entry.place, path), entry.file, entry.line)
    return layer


def _unknown(key: str, place: str, known: Iterable[str]) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(key, known, 1, 0.5)
    fix = f"Did you mean {near[0]!r}?" if near else "Keys are the long flags of `process join --help`."
    return UsageError(f"{place}: there is no setting {key[:60]!r}.", fix=fix)


def _checked(key: str, kind: Kind, value: object, place: str, path: Path) -> object:
    if kind == "switch":
        right = isinstance(value, bool)
    elif kind == "integer":
        right = isinstance(value, int) and not isinstance(value, bool)
    elif kind == "number":
        right = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind in ("list", "paths"):
        right = isinstance(value, list) and all(isinstance(each, str) for each in value)
    else:
        right = isinstance(value, str)
    if not right:
        raise UsageError(f"{place}: {key} has the wrong type.", fix=f"It is {_WANTED[kind]}.")
    if kind == "path":
        return _beside(str(value), path)
    if kind == "paths" and isinstance(value, list):
        return [_beside(each, path) for each in value]
    return value


def _beside(text: str, path: Path) -> str:
    """A path of the file: relative ones begin at the file's folder."""
    return text if text.startswith("~") else str(path.parent / text)
