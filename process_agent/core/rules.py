"""Rules for an agent, and how a rules file says them. Pure.

A rules file is text: a rule per line. Blank lines and lines that begin with `#` say nothing, and a line
`[name]` begins the rules for clients of that name only: participants whose attribute `client` it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MAX_RULES = 256 * 1024
"""Bytes of one file of rules or instructions: they travel with the conversation."""

_SECTION = re.compile(r"\[([^\[\]]+)\]")


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules for everybody, and by the name of the client, in order."""

    general: tuple[str, ...] = ()
    of_client: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def for_client(self, client: str | None) -> tuple[str, ...]:
        """What holds for participants with this client."""
        return (*self.general, *(self.of_client.get(client, ()) if client else ()))


def parse_rules(text: str) -> Rules:
    """The rules that the text of a file says."""
    general: list[str] = []
    of_client: dict[str, list[str]] = {}
    current = general
    for line in map(str.strip, text.removeprefix("\ufeff").splitlines()):
        section = _SECTION.fullmatch(line)
        if section is not None:
            current = of_client.setdefault(section[1].strip(), [])
        elif line and not line.startswith("#"):
            current.append(line)
    return Rules(tuple(general), {name: tuple(rules) for name, rules in of_client.items()})


def together(parts: Iterable[Rules]) -> Rules:
    """All rules as one, those of earlier parts first."""
    general: list[str] = []
    of_client: dict[str, list[str]] = {}
    for part in parts:
        general += part.general
        for name, rules in part.of_client.items():
            of_client.setdefault(name, []).extend(rules)
    return Rules(tuple(general), {name: tuple(rules) for name, rules in of_client.items()})
