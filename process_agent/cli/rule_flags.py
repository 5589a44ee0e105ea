"""Flags that tell an agent what to heed: rules and instructions, as they are or in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.agent.standing_rules import RulesOptions
    from process_agent.core.rules import Rules

MAX_PATH = 1_000
"""Characters of a path in the room."""

RuleTexts = Annotated[
    list[str] | None,
    typer.Option("--rule", "-r", metavar="TEXT", help="A rule for the agent. Repeatable."),
]
RulesFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules-file",
        metavar="FILE",
        help="A file with a rule per line; a line [name] begins those for clients of that name. Repeatable.",
    ),
]
RoomRules = Annotated[
    list[str] | None,
    typer.Option(
        "--room-rules",
        "-rr",
        metavar="PATH",
        help="Such a file in the room's storage, read again for each turn. Repeatable.",
    ),
]
Instructions = Annotated[
    list[str] | None,
    typer.Option(
        "--instructions",
        metavar="PATH",
        help="A file below this folder, or in the room's storage, whose text the agent follows as it is; "
        "read again for each turn. Repeatable.",
    ),
]


def rules_options(
    rule: list[str] | None,
    rules_file: list[Path] | None,
    room_rules: list[str] | None,
    instructions: list[str] | None,
) -> RulesOptions:
    """The flags, checked; local rules files are read now. Raises `UsageError`."""
    from process_agent.agent.standing_rules import RuleFile, RulesOptions
    from process_agent.core.rules import Rules, together

    files = [RuleFile(room_path("--room-rules", path)) for path in room_rules or ()]
    files += [RuleFile(room_path("--instructions", path), "instructions") for path in instructions or ()]
    said = Rules(tuple(text for text in map(str.strip, rule or ()) if text))
    given = together([said, *map(read_rules, rules_file or ())])
    return RulesOptions(given, tuple(dict.fromkeys(files)), Path.cwd())


def read_rules(path: Path) -> Rules:
    """The rules of a file of this machine. Raises `UsageError` when it cannot be read or is too large."""
    from process_agent.core.rules import MAX_RULES, parse_rules

    path = path.expanduser()
    try:
        if path.stat().st_size > MAX_RULES:
            raise UsageError(f"The rules file {path} is larger than {MAX_RULES} bytes.")
        return parse_rules(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"The rules file {path} cannot be read: {reason}.") from error


def room_path(flag: str, path: str) -> str:
    """A path in the room's storage. Raises `UsageError`."""
    text = path.strip()
    if not text.strip("/") or len(text) > MAX_PATH or not text.isprintable() or ".." in text.split("/"):
        raise UsageError(f"{flag} {path[:MAX_PATH]!r} is not the path of a file in the room.")
    return text
