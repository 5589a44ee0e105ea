"""Toolboxes and tools that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from process_agent.agent.tools.tool import Call, Need, Plan, Report, Scope, Tool, Toolkit, parameters
from process_agent.agent.tools.toolbox import Consents, TurnTools
from process_agent.core.content import Json, TextResult
from process_agent.core.decisions import Decision
from process_agent.core.events import ApprovalRequested, BackendEvent, ToolRef
from process_agent.core.ids import ItemId, ThreadId, TurnId
from process_agent.core.tools import ToolkitSpec, ToolOutcome, ToolOutput, ToolSpec
from tests.fakes.memory_store import MemoryLog, MemoryThreadStore

ANY: Mapping[str, Json] = {"type": "object", "properties": {}}


@dataclass
class PlayedToolbox:
    """See `core.tools.Toolbox`: one toolkit, whose tools do what the test says."""

    answer: Callable[[ToolRef, Mapping[str, Json]], Awaitable[ToolOutcome]]
    names: tuple[str, ...] = ("look",)
    toolkit: str = "room"
    calls: list[tuple[ToolRef, Mapping[str, Json]]] = field(default_factory=list)

    @property
    def toolkits(self) -> tuple[ToolkitSpec, ...]:
        tools = tuple(ToolSpec(name, f"{name}s", ANY) for name in self.names)
        return (ToolkitSpec(self.toolkit, "for tests", tools),)

    def shown(self, ref: ToolRef, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
        return arguments

    async def call(self, ref: ToolRef, arguments: Mapping[str, Json]) -> ToolOutcome:
        self.calls.append((ref, arguments))
        return await self.answer(ref, arguments)


@dataclass
class Bench:
    """A toolbox of the agent, with what it reports; `decide` answers its questions."""

    tools: dict[str, Tool] = field(default_factory=dict)
    events: list[BackendEvent] = field(default_factory=list)
    decide: Decision | None = None
    consents: Consents = field(default_factory=Consents)
    thread: str = "T"
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(
        self,
        name: str,
        run: Callable[[Call], Awaitable[ToolOutput]],
        need: Need | None = None,
        seconds: float = 5.0,
    ) -> Bench:
        spec = ToolSpec(name, name, parameters([]))
        self.tools[name] = Tool(spec, run, lambda *_: Plan(run, need), seconds)
        return self

    def open(self) -> TurnTools:
        kit = Toolkit("kit", "for tests", tuple(self.tools.values()))
        self.box = TurnTools([kit], scope(self.thread), self.consents, self._told)
        return self.box

    async def call(self, tool: str, /, *, item: str = "i", **arguments: Json) -> ToolOutcome:
        box = getattr(self, "box", None) or self.open()
        return await box.call(ToolRef(ItemId(item), "kit", tool), arguments)

    @property
    def asked(self) -> list[ApprovalRequested]:
        return [event for event in self.events if isinstance(event, ApprovalRequested)]

    def _told(self, turn_id: TurnId, event: BackendEvent) -> None:
        assert turn_id == "turn"
        self.events.append(event)
        self.news.set()
        if isinstance(event, ApprovalRequested) and self.decide is not None:
            asyncio.get_running_loop().call_soon(self.box.decide, event.ref.item_id, self.decide)


def scope(thread: str = "T", sender: str | None = "ana") -> Scope:
    log = MemoryLog(MemoryThreadStore(), [], [])
    return Scope(ThreadId(thread), TurnId("turn"), sender, log)


async def run(tool: Tool, report: Report = lambda *_: None, /, **arguments: Json) -> ToolOutput:
    """Run a tool as it is, without limits."""
    ref = ToolRef(ItemId("i"), "kit", tool.spec.name)
    plan = tool.planned(arguments, scope())
    assert plan.need is None, plan.need
    return await plan.run(Call(ref, arguments, scope(), report))


def text_of(outcome: ToolOutcome) -> str:
    """The text of a result, or of an error."""
    if not isinstance(outcome, ToolOutput):
        return f"{outcome.code}: {outcome.message}"
    assert isinstance(outcome.result, TextResult)
    return outcome.result.text
