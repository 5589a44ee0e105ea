"""Arguments of a call that the model still writes: as far as its JSON goes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from process_agent.viewer.terminal.plain import one_line

_STRING = re.compile(r'"((?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)("?)')
"""A text, perhaps not to its end, of whole characters only."""

_SPACE = re.compile(r"[\s,{:]*")
_FILE = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)


def written_texts(text: str) -> Mapping[str, str]:
    """The members that are texts, up to the first that is none; the last one as far as it was written."""
    found: dict[str, str] = {}
    at = 0
    while True:
        name = _STRING.match(text, _end(_SPACE, text, at))
        if name is None or not name[2]:
            return found
        value = _STRING.match(text, _end(_SPACE, text, name.end()))
        if value is None:
            return found
        found[_decoded(name[1])] = _decoded(value[1])
        if not value[2]:
            return found
        at = value.end()


def patch_so_far(patch: str, width: int) -> str:
    """One line about a patch that is being written: the file, the lines so far, and the last of them."""
    names = _FILE.findall(patch)
    lines = patch.split("\n")
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    where = f" {names[-1]}" if names else ""
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return one_line(f"writing{where}{others} +{added} -{removed}  {lines[-1]}", width)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _decoded(escaped: str) -> str:
    text: str = json.loads(f'"{escaped}"')
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
