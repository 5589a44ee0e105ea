"""What a tool of the agent is made of, and what a call of it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from process_agent.core.backend import ToolkitInfo
from process_agent.core.content import Json, LogLine, TextResult
from process_agent.core.decisions import EACH_TIME, NO_ANSWERS, Answers, Decision, Question
from process_agent.core.events import (
    ApprovalRequested,
    BackendEvent,
    FileShown,
    ToolLog,
    ToolRef,
    ToolStarted,
)
from process_agent.core.ids import ItemId, ThreadId, TurnId
from process_agent.core.store import ThreadLog
from process_agent.core.tools import ToolkitSpec, ToolOutput, ToolSpec
from process_agent.errors import ToolFailedError

CALL_SECONDS = 60.0
"""How long a tool may take, unless it says otherwise. Waiting for a decision is not counted."""

MAX_LOG = 64 * 1024
"""Characters of log that one call may tell."""

type Arguments = Mapping[str, Json]
type Report = Callable[[TurnId, BackendEvent], None]
type Asker = Callable[[ApprovalRequested], Awaitable[tuple[Decision, Answers]]]
"""Asks people, and returns what they decided or answered."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The turn that tools are for. `sender_name` is who asked for it, as the room authenticated it; `folder`
    is where its commands run, None for the agent's working folder.
    """

    thread_id: ThreadId
    turn_id: TurnId
    sender_name: str | None
    log: ThreadLog
    folder: Path | None = None


class Call:
    """One call, as the tool sees it. What it tells appears in the thread while the call runs."""

    def __init__(
        self,
        ref: ToolRef,
        arguments: Arguments,
        scope: Scope,
        report: Report,
        asker: Asker | None = None,
    ) -> None:
        self._asker = asker
        self._asking = asyncio.Lock()
        self.ref = ref
        self.arguments = arguments
        self.scope = scope
        self._report = report
        self._logged = 0
        self._shown = 0

    def log(self, text: str) -> None:
        """Tell a line of what goes on; above a limit nothing is told any more."""
        if not text or self._logged > MAX_LOG:
            return
        self._logged += len(text)
        line = text if self._logged <= MAX_LOG else "… more is not shown."
        self._report(self.scope.turn_id, ToolLog(self.ref, (LogLine(f"{line.rstrip()}\n"),)))

    def output(self, text: str) -> None:
        """Tell a piece of output as it came; whoever tells it sees to how much there is."""
        if text:
            self._report(self.scope.turn_id, ToolLog(self.ref, (LogLine(text),)))

    def arguments_are(self, arguments: Arguments) -> None:
        """Show other arguments than the call was started with: more is known now."""
        self._report(self.scope.turn_id, ToolStarted(self.ref, arguments))

    def show(self, url: str) -> None:
        """Show a file in the thread."""
        self._shown += 1
        item = ItemId(f"{self.ref.item_id}:file-{self._shown}")
        self._report(self.scope.turn_id, FileShown(item, url))

    async def ask(self, reason: str, questions: Sequence[Question]) -> tuple[Decision, Answers]:
        """Ask people, one thing after the other; the call's time stands still meanwhile."""
        if self._asker is None:
            return Decision.UNANSWERED, NO_ANSWERS
        async with self._asking:
            asked = ApprovalRequested(self.ref, self.arguments, reason, EACH_TIME, tuple(questions))
            return await self._asker(asked)

    def text(self, name: str, *, required: bool = True) -> str:
        """An argument that is text. Raises `ToolFailedError`."""
        value = self.arguments.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or (required and not value.strip()):
            raise ToolFailedError(f"{name} must be text." if value is not None else f"{name} is missing.")
        return value

    def number(self, name: str, default: int, largest: int) -> int:
        """An argument that is a whole number, from 0 up. Raises `ToolFailedError`."""
        value = self.arguments.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ToolFailedError(f"{name} must be a whole number from 0 up.")
        return min(value, largest)


@dataclass(frozen=True, slots=True)
class Need:
    """A call that somebody has to allow: `reason` is what people read. Where it is `lasting`, it can be
    allowed for the session: all further calls with the same `key` in this thread.
    """

    key: str
    reason: str
    lasting: bool = False


type Run = Callable[[Call], Awaitable[ToolOutput]]
"""Raises `ToolFailedError` and `RoomError`, whose texts the model reads."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call will do once it is allowed, and nothing else than what was allowed. `shown` are the
    arguments for people where planning found out more.
    """

    run: Run
    need: Need | None = None
    shown: Arguments | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool with what it does: `run`, or what `plan` makes of a call's arguments, or `prepare`, where that
    takes a while; they may raise what `run` may. `shown` makes of the arguments what people see; it does no
    I/O and may raise `ToolFailedError`. `working` makes of that the status line while it runs.
    """

    spec: ToolSpec
    run: Run
    plan: Callable[[Arguments, Scope], Plan] | None = None
    seconds: float = CALL_SECONDS
    prepare: Callable[[Arguments, Scope], Awaitable[Plan]] | None = None
    shown: Callable[[Arguments, Scope], Arguments] | None = None
    working: Callable[[Arguments], str] | None = None

    def planned(self, arguments: Arguments, scope: Scope) -> Plan:
        """What a call with these arguments comes to."""
        return Plan(self.run) if self.plan is None else self.plan(arguments, scope)


async def unplanned(call: Call) -> ToolOutput:
    """The `run` of a tool that plans every call."""
    raise AssertionError(f"{call.ref.tool} was not planned")


@dataclass(frozen=True, slots=True)
class Toolkit:
    """Tools under one name, or, when `plain`, under their own. A `local` one does what some backends do
    themselves, and is left out for those. `on_stop` hears of a turn that was stopped, `on_leave` of a thread
    that is closed.
    """

    name: str
    description: str
    tools: tuple[Tool, ...]
    title: str = ""
    plain: bool = False
    local: bool = False
    on_stop: Callable[[Scope], None] | None = None
    on_leave: Callable[[ThreadId], None] | None = None

    @property
    def spec(self) -> ToolkitSpec:
        """What a model sees of it."""
        tools = tuple(tool.spec for tool in self.tools)
        return ToolkitSpec(self.name, self.description, tools, self.plain)

    @property
    def info(self) -> ToolkitInfo:
        """What clients list of it."""
        listed = tuple((tool.spec.name, tool.spec.description) for tool in self.tools)
        return ToolkitInfo(self.name, self.title or self.name, listed)


class ToolSource(Protocol):
    """Where toolkits come from."""

    async def start(self) -> None:
        """Look whether what was asked for is there. Raises `RoomError` or `UsageError`, saying what is."""
        ...

    async def toolkits(self) -> Sequence[Toolkit]:
        """The toolkits as they are now, for one turn. Soon; what is not there is left out. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class FixedTools:
    """A source of the same toolkits for every turn."""

    kits: tuple[Toolkit, ...] = field(default=())

    async def start(self) -> None:
        """See `ToolSource`."""

    async def toolkits(self) -> Sequence[Toolkit]:
        """See `ToolSource`."""
        return self.kits


def said(text: str) -> ToolOutput:
    """An output of text."""
    return ToolOutput(TextResult(text))


def parameters(required: Sequence[str], **properties: Json) -> Mapping[str, Json]:
    """A JSON schema for an object with these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*required],
        "additionalProperties": False,
    }


def text_argument(description: str) -> dict[str, Json]:
    """The schema of an argument that is text."""
    return {"type": "string", "description": description}


def number_argument(description: str) -> dict[str, Json]:
    """The schema of an argument that counts."""
    return {"type": "integer", "minimum": 0, "description": description}
