"""Tools that the agent itself runs for the model of a turn, whichever backend the model is behind.

A backend offers `Toolbox.toolkits` to its model in whatever form the model takes, makes an item of each call
as of any other tool, and hands the call to the toolbox. Approvals, log lines and files of a call are told by
the toolbox under that item; a backend neither sees nor decides them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from process_agent.core.content import ErrorInfo, Json, TextResult, ToolResult
from process_agent.core.events import ToolRef

MAX_NAME = 64
"""Characters of a name that model providers take."""

_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")

_RESERVED = frozenset(
    {
        *("codex", "client", "meshagent", "openai", "clock", "collaboration", "web_search", "mcp"),
        *("functions", "multi_tool_use", "api_tool", "web", "browser", "python", "container", "terminal"),
        *("computer", "image_gen", "file_search", "tool_search", "shell", "skills"),
    }
)
"""Toolkits of backends, clients and model providers: a toolkit of the room with such a name gets another.
(Codex 0.163.0 refuses to start a thread with the names of the last two lines, and `mcp`.)
"""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it. `schema` is the JSON schema of its arguments, an object."""

    name: str
    description: str
    schema: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ToolkitSpec:
    """Tools under one name. The names of toolkit and tools are made by `model_name`. Those of a `plain` one
    have no other name in front of theirs: models know them.
    """

    name: str
    description: str
    tools: tuple[ToolSpec, ...]
    plain: bool = False


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool gave back: `result` for the model and for people, and `images`, as `data:` URLs, that the
    model shall look at; people see those as files of their own. Where there is a `text`, the model reads that
    in place of the result.
    """

    result: ToolResult
    images: tuple[str, ...] = ()
    text: str | None = None

    @property
    def for_model(self) -> ToolResult:
        """What the model reads."""
        return self.result if self.text is None else TextResult(self.text)


type ToolOutcome = ToolOutput | ErrorInfo


class Toolbox(Protocol):
    """The tools of one turn."""

    @property
    def toolkits(self) -> tuple[ToolkitSpec, ...]:
        """What is on offer; it stays the same during the turn, and in the same order between turns."""
        ...

    def shown(self, ref: ToolRef, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
        """The arguments as people see them when the call starts. Raises nothing."""
        ...

    async def call(self, ref: ToolRef, arguments: Mapping[str, Json]) -> ToolOutcome:
        """Run a tool, beside other calls. `ref` names toolkit and tool, and the item: its `ToolStarted` has
        been told before, its `ToolEnded` is told after. Never waits for ever, raises nothing; whoever needs
        no answer any more cancels the call, which stops the tool.
        """
        ...


def model_name(wanted: str, taken: Collection[str] = (), *, toolkit: bool = False) -> str:
    """A name that every provider takes, unlike those `taken`; a `toolkit` gets none that others use."""
    name = _UNFIT.sub("_", wanted).strip("_")[:MAX_NAME] or "tools"
    if toolkit and (name.lower() in _RESERVED or name.lower().startswith("mcp__")):
        name = f"room_{name}"[:MAX_NAME]
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name[: MAX_NAME - 1 - len(str(number))]}_{number}"
    return found
