"""Tools that the client of a turn's sender runs: what of them a model can be offered. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Final

from process_agent.core.requests import ClientTool
from process_agent.errors import TurnRefusedError

MAX_TOOLS: Final = 64
MAX_DESCRIBED: Final = 256 * 1024
"""Characters of all descriptions and schemas of a turn's tools: the model reads them with every request."""

REFUSED: Final = "invalid_client_tool"

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What all providers and Codex (0.163.0) accept."""


def offered(
    tools: Sequence[ClientTool], to: str, problem: Callable[[ClientTool], str | None] = lambda tool: None
) -> tuple[ClientTool, ...]:
    """The tools by name. `problem` says why one cannot be offered to this backend, called `to`.

    Raises `TurnRefusedError`, saying what is wrong.
    """
    if len(tools) > MAX_TOOLS:
        raise _refused(f"A turn can have {MAX_TOOLS} tools of its client; it came with {len(tools)}.")
    found: dict[str, ClientTool] = {}
    for tool in tools:
        wrong = _problem(tool) or problem(tool) or ("the name is there twice" if tool.name in found else None)
        if wrong:
            raise _refused(f"The client's tool {tool.name[:80]!r} cannot be offered to {to}: {wrong}.")
        found[tool.name] = tool
    described = [[tool.name, description(tool), dict(tool.schema)] for tool in found.values()]
    if len(json.dumps(described, ensure_ascii=False)) > MAX_DESCRIBED:
        raise _refused(f"The client's tools are described with more than {MAX_DESCRIBED} characters.")
    return tuple(found[name] for name in sorted(found))


def description(tool: ClientTool) -> str:
    """What a model reads about the tool."""
    return tool.description or tool.title or tool.name


def _problem(tool: ClientTool) -> str | None:
    if _NAME.fullmatch(tool.name) is None:
        return "a name has 1 to 64 letters, digits, - and _"
    if tool.schema and tool.schema.get("type") != "object":
        return "its arguments have to be a JSON object"
    return None


def _refused(text: str) -> TurnRefusedError:
    return TurnRefusedError(text, code=REFUSED)
