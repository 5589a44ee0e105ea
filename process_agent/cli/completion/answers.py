"""`process __complete`: what a shell asks at each press of the key. Imports next to nothing.

The outline of the commands is kept in the user's cache folder, by the version and the age of our files.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from process_agent import __version__, config
from process_agent.cli.completion.candidates import Next, cut_for_bash, following

MAX_LISTED: Final = 200
"""Rooms, agents or threads that are offered."""
MAX_OUTLINE: Final = 4 * 1024 * 1024
MAX_RECORD: Final = 256 * 1024
"""Characters of the record of a service; a longer one is not offered."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._:/+=-]*")
"""Names that no shell takes for anything else; others are not offered."""
_OPEN: Final = (":", "=")
"""What a candidate ends in that something has to follow."""


def answer(shell: str, given: Sequence[str]) -> str:
    """The lines for a shell: first `values`, `open` (no blank after it), `files` or `dirs`, then candidates.

    bash gives its characters between words and the line up to the cursor; the others their words, the last of
    which is being typed.
    """
    breaks, words = (given[0], split(given[1])) if shell == "bash" else ("", list(given))
    *before, typed = words or [""]
    found = following(load_outline(), before, typed)
    if found.kind in ("files", "dirs"):
        return f"{found.kind}\n"
    values = [*found.values, *((name, "") for name in _looked_up(found) if name.startswith(found.typed))]
    lead = found.prefix if shell == "fish" else ""
    cut = cut_for_bash(found.prefix, found.typed, breaks) if shell == "bash" else ""
    lines = []
    for value, about in values[:MAX_LISTED]:
        text = lead + value
        if shell == "bash":
            lines.append((found.prefix + value).removeprefix(cut))
        else:
            lines.append(f"{text}\t{about}")
    kind = "open" if len(values) == 1 and values[0][0].endswith(_OPEN) else "values"
    return "\n".join([kind, *lines]) + "\n"


def split(line: str) -> list[str]:
    """The words of a line, the program's name left out; the last one is being typed, and may be empty."""
    words, word, quote, begun = [], "", "", False
    letters = iter(line)
    for letter in letters:
        if quote:
            quote, word = ("", word) if letter == quote else (quote, word + letter)
        elif letter in "'\"":
            quote, begun = letter, True
        elif letter == "\\":
            word, begun = word + next(letters, ""), True
        elif letter.isspace():
            if word or begun:
                words.append(word)
            word, begun = "", False
        else:
            word += letter
    return [*words, word][1:] or [""]


def load_outline() -> dict[str, Any]:
    """The outline that was kept, else a new one."""
    folder = config.load().cache_dir
    kept = folder / f"completion-{_stamp()}.json"
    try:
        with kept.open(encoding="utf-8") as file:
            found = json.loads(file.read(MAX_OUTLINE))
        if isinstance(found, dict) and "commands" in found:
            return found
    except (OSError, ValueError):
        pass  # made anew below
    return _make(folder, kept)


def _make(folder: Path, kept: Path) -> dict[str, Any]:
    from process_agent.cli.completion.outline import outline
    from process_agent.cli.tree import command

    made = outline(command())
    draft = kept.with_suffix(f".{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in folder.glob("completion-*.json"):
            old.unlink(missing_ok=True)
        draft.write_text(json.dumps(made), encoding="utf-8")
        draft.replace(kept)
    except OSError:
        pass  # it takes longer every time, and works
    return made


def _stamp() -> str:
    """Tells one state of our commands from another."""
    newest = max(entry.stat().st_mtime_ns for entry in os.scandir(Path(__file__).parent.parent))
    return f"{__version__}-{newest:x}"


def _looked_up(found: Next) -> Iterable[str]:
    """Names of what lies in the data folder of the local room; nothing is connected to."""
    match found.kind:
        case "rooms":
            return _names(_rooms(found), "")
        case "agents":
            return _names(_agents(found), "n.")
        case "threads":
            return _threads(found)
        case "profiles":
            return _profiles()
        case "services":
            return _services(found)
        case _:
            return ()


def _data(found: Next) -> config.DataPaths:
    given = found.given.get("data-dir")
    return config.load().paths(Path(given) if given else None)


def _rooms(found: Next) -> Path:
    return _data(found).rooms


def _agents(found: Next) -> Path:
    room = found.given.get("room") or config.load().room or ""
    return _rooms(found) / (room if _PLAIN.fullmatch(room) else "-") / "datasets" / "n.agents"


def _threads(found: Next) -> list[str]:
    """Ids of the threads of the agent that is named, or of all, the newest first."""
    agents = _agents(found)
    named = found.given.get("agent-name")
    folders = [agents / f"n.{named}"] if named and _PLAIN.fullmatch(named) else list(_inside(agents))
    tables = [
        (entry.stat().st_mtime, entry.name.removeprefix("t."))
        for folder in folders
        for entry in _scan(folder / "n.threads" / "b.main")
        if entry.name != "t.index"
    ]
    return [name for _, name in sorted(tables, reverse=True)[:MAX_LISTED] if _PLAIN.fullmatch(name)]


def _services(found: Next) -> list[str]:
    """The names of services of the local room, of the one that is named if one is."""
    folder, room = _data(found).root / "services", found.given.get("room")
    kept = [_record(each / "record.json") for each in _inside(folder)]
    names = {name for name, where in kept if room in (None, where) and _PLAIN.fullmatch(name)}
    return sorted(names)[:MAX_LISTED]


def _record(file: Path) -> tuple[str, str]:
    """The name and the room of a service; empty where they cannot be read."""
    try:
        with file.open(encoding="utf-8") as opened:
            record = json.loads(opened.read(MAX_RECORD))
        return str(record["current"]["document"]["metadata"]["name"]), str(record["room"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


def _profiles() -> list[str]:
    """The names of headers; whether a file is trusted does not matter for its names."""
    texts = [
        file.read_text(errors="replace")[:65536]
        for file in (config.settings_folder() / "process.toml", config.work_folder() / "process.toml")
        if file.is_file()
    ]
    return [*dict.fromkeys(re.findall(r"(?m)^\[profiles\.([A-Za-z0-9_-]+)\]", "\n".join(texts))), "none"]


def _names(folder: Path, prefix: str) -> list[str]:
    found = (each.name.removeprefix(prefix) for each in _inside(folder) if each.name.startswith(prefix))
    return sorted(name for name in found if _PLAIN.fullmatch(name))[:MAX_LISTED]


def _inside(folder: Path) -> Iterable[Path]:
    return (Path(entry.path) for entry in _scan(folder) if entry.is_dir())


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []
