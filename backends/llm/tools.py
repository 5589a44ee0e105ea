"""The tools of one turn: what its sender's client runs, and what the agent runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backends.llm.output import UNKNOWN_TOOLKIT, Names, Output, WantedCall
from backends.llm.parts import answered
from process_agent.core.backend import Answered, TurnInput
from process_agent.core.client_tools import description, offered
from process_agent.core.content import ErrorInfo, Json, ToolResult
from process_agent.core.events import BackendEvent, ClientToolCancelled, ClientToolRequested
from process_agent.core.ids import AskId
from process_agent.core.recalled import CLIENT
from process_agent.core.requests import Secret
from process_agent.core.tools import Toolbox, model_name
from process_agent.io.interruption import Interruption
from process_agent.io.tasks import Tasks
from process_agent.wire.llm.request import CallOutput, Image, OfferedTool

NO_OBJECT: Final = ErrorInfo(
    "The arguments are no JSON object. Call the tool again with valid JSON.", "invalid_arguments"
)


@dataclass(frozen=True, slots=True)
class _Done:
    """A call that is over, for the model and for people."""

    wanted: WantedCall
    output: CallOutput
    result: ToolResult | None
    error: ErrorInfo | None


@dataclass(frozen=True, slots=True)
class TurnTools:
    """What a turn's model can call. `names` says whose a tool is."""

    offered: tuple[OfferedTool, ...]
    names: Names
    toolbox: Toolbox | None


def tools_of(turn: TurnInput) -> TurnTools:
    """The tools of a turn. Raises `TurnRefusedError` for tools of the client that cannot be offered."""
    found: list[OfferedTool] = []
    names: dict[str, tuple[str, str]] = {}
    for own in offered(turn.client_tools, "the model"):
        names[own.name] = (CLIENT, own.name)
        found.append(OfferedTool(own.name, description(own), own.schema))
    for kit in turn.toolbox.toolkits if turn.toolbox else ():
        for tool in kit.tools:
            name = model_name(tool.name if kit.plain else f"{kit.name}__{tool.name}", names)
            names[name] = (kit.name, tool.name)
            found.append(OfferedTool(name, tool.description, tool.schema))
    return TurnTools(tuple(found), names, turn.toolbox)


class RunningCalls:
    """The calls of one answer, carried out side by side."""

    def __init__(self, tools: TurnTools, output: Output, tasks: Tasks, first_ask: int) -> None:
        self.asked = first_ask
        """How many questions this turn has asked its client."""
        self._tools = tools
        self._output = output
        self._tasks = tasks
        self._came: asyncio.Queue[_Done] = asyncio.Queue()
        self._asks: dict[AskId, WantedCall] = {}
        self._running: list[asyncio.Task[None]] = []
        self._outputs: dict[str, CallOutput] = {}

    def start(self, turn_id: str, calls: Sequence[WantedCall]) -> Iterator[BackendEvent]:
        """Begin with all of them."""
        for wanted in calls:
            yield self._output.started(wanted.ref, self._shown(wanted))
            if wanted.ref.toolkit == UNKNOWN_TOOLKIT:
                text = f"There is no tool {wanted.ref.tool[:80]!r} in this conversation now."
                self._done(wanted, ErrorInfo(text, "unknown_tool"))
            elif wanted.arguments is None:
                self._done(wanted, NO_OBJECT)
            elif wanted.ref.toolkit == CLIENT:
                self.asked += 1
                ask_id = AskId(f"{turn_id}:client-{self.asked}")
                self._asks[ask_id] = wanted
                yield ClientToolRequested(ask_id, wanted.ref.tool, wanted.arguments)
            else:
                self._running.append(self._tasks.start(self._run(wanted), f"tool {wanted.ref.tool}"))

    def answer(self, ask_id: AskId, answer: Answered) -> bool:
        """What the client answered; False when nothing waits for it."""
        wanted = self._asks.pop(ask_id, None)
        if wanted is not None:
            self._done(wanted, answer)
        return wanted is not None

    async def next(self, interruption: Interruption) -> BackendEvent:
        """The end of the next call that is over. Raises `Interrupted`."""
        done = await interruption.wait(self._came.get)
        self._outputs[done.wanted.ref.item_id] = done.output
        return self._output.ended(done.wanted.ref, done.result, done.error)

    def outputs(self, calls: Sequence[WantedCall]) -> list[CallOutput]:
        """What they gave back, in the order of the calls."""
        return [self._outputs[wanted.ref.item_id] for wanted in calls if wanted.ref.item_id in self._outputs]

    def stop(self, reason: str) -> Iterator[BackendEvent]:
        """The turn ends: nobody waits for what is still running."""
        for task in self._running:
            task.cancel()
        for ask_id, wanted in self._asks.items():
            yield ClientToolCancelled(ask_id, wanted.ref.tool, reason)
        self._asks.clear()

    def _shown(self, wanted: WantedCall) -> Mapping[str, Json]:
        """The arguments as people see them."""
        given, toolbox = wanted.arguments or {}, self._tools.toolbox
        if toolbox is None or wanted.ref.toolkit in (UNKNOWN_TOOLKIT, CLIENT):
            return given
        return toolbox.shown(wanted.ref, given)

    async def _run(self, wanted: WantedCall) -> None:
        toolbox = self._tools.toolbox
        if toolbox is not None:
            found = await toolbox.call(wanted.ref, wanted.arguments or {})
            if isinstance(found, ErrorInfo):
                self._done(wanted, found)
            else:
                self._done(wanted, found.result, found.images, found.for_model)

    def _done(
        self,
        wanted: WantedCall,
        answer: Answered,
        images: Sequence[str] = (),
        for_model: Answered | None = None,
    ) -> None:
        parts, failed = answered(answer if for_model is None else for_model)
        output = CallOutput(wanted.call.call_id, (*parts, *map(Image, images)), failed)
        match answer:
            case ErrorInfo():
                done = _Done(wanted, output, None, answer)
            case Secret():
                done = _Done(wanted, output, None, ErrorInfo("The client gave no result.", "invalid_answer"))
            case _:
                done = _Done(wanted, output, answer, None)
        self._came.put_nowait(done)
