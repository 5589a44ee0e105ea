"""The tools of one turn at work: limits, time limits, decisions and clean ends for every call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from process_agent.agent.tools.cutting import cut, cut_error
from process_agent.agent.tools.tool import Call, Need, Report, Scope, Toolkit
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.decisions import EACH_TIME, EVERY, NO_ANSWERS, Answers, Decision
from process_agent.core.events import ApprovalRequested, ToolRef, ToolStarted, Working
from process_agent.core.ids import ItemId, ThreadId
from process_agent.core.tools import ToolkitSpec, ToolOutcome
from process_agent.errors import ProcessError, RoomError, ToolFailedError

logger = logging.getLogger(__name__)

MAX_CALLS = 64
"""Calls of one turn that wait or run; more are refused."""

MAX_RUNNING = 8
"""Calls of one turn that run side by side; those that wait for a decision are not counted."""

MAX_ARGUMENTS = 1024 * 1024
"""Characters of the arguments of one call, as Python writes them."""

MAX_CONSENTS = 10_000

DECLINED = ErrorInfo("Declined: the tool was not called.", "declined")
_ENDED = ErrorInfo("The turn is over.", "turn_ended")
_TOO_MANY = ErrorInfo(f"{MAX_CALLS} calls wait already; wait for some of them.", "too_many_calls")


class Consents:
    """What people allowed for the session: for a thread, as long as the agent runs."""

    def __init__(self) -> None:
        self._given: dict[tuple[ThreadId, str], None] = {}

    def given(self, thread_id: ThreadId, key: str) -> bool:
        """Whether calls with this key need no further decision."""
        return (thread_id, key) in self._given

    def give(self, thread_id: ThreadId, key: str) -> None:
        """Remember; the oldest are forgotten above a limit, and asked about again."""
        if len(self._given) >= MAX_CONSENTS:
            del self._given[next(iter(self._given))]
        self._given[thread_id, key] = None


class TurnTools:
    """Implements `core.tools.Toolbox`. Whoever makes it closes it when the turn is over."""

    def __init__(
        self,
        kits: Sequence[Toolkit],
        scope: Scope,
        consents: Consents,
        report: Report,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_close = on_close
        self._kits = {kit.name: kit for kit in kits}
        self._tools = {(kit.name, tool.spec.name): tool for kit in kits for tool in kit.tools}
        self._scope = scope
        self._consents = consents
        self._report = report
        self._free = asyncio.Semaphore(MAX_RUNNING)
        self._calls: set[asyncio.Task[ToolOutcome]] = set()
        self._waiting: dict[ItemId, asyncio.Future[tuple[Decision, Answers]]] = {}
        self._closed = False

    @property
    def toolkits(self) -> tuple[ToolkitSpec, ...]:
        """See the port."""
        return tuple(kit.spec for _, kit in sorted(self._kits.items()))

    def shown(self, ref: ToolRef, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
        """See the port."""
        tool = self._tools.get((ref.toolkit, ref.tool))
        if tool is None or tool.shown is None:
            return arguments
        try:
            return tool.shown(arguments, self._scope)
        except ToolFailedError:
            return arguments  # the call says what is wrong with them

    async def call(self, ref: ToolRef, arguments: Mapping[str, Json]) -> ToolOutcome:
        """See the port."""
        refusal = self._refusal(ref, arguments)
        if refusal is not None:
            return refusal
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._run(ref, arguments), name=f"{ref.toolkit}.{ref.tool}")
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        return _ENDED if task.cancelled() else task.result()

    def decide(self, item_id: ItemId, decision: Decision, answers: Answers = NO_ANSWERS) -> bool:
        """What somebody decided about a call, or answered to it. False when none waits under this id."""
        waiting = self._waiting.pop(item_id, None)
        if waiting is None or waiting.done():
            return False
        waiting.set_result((decision, answers))
        return True

    def close(self, *, stopped: bool = False) -> None:
        """The turn is over: what still runs is stopped, and when somebody `stopped` the turn, what its tools
        left running too.
        """
        self._closed = True
        for task in tuple(self._calls):
            task.cancel()
        self._on_close()
        for kit in self._kits.values() if stopped else ():
            if kit.on_stop is not None:
                kit.on_stop(self._scope)

    def _refusal(self, ref: ToolRef, arguments: Mapping[str, Json]) -> ErrorInfo | None:
        if self._closed:
            return _ENDED
        if (ref.toolkit, ref.tool) not in self._tools:
            kit = self._kits.get(ref.toolkit)
            there = [tool.spec.name for tool in kit.tools] if kit else [*self._kits]
            text = f"There is no tool {ref.tool[:80]!r} in {ref.toolkit[:80]!r}. There is {', '.join(there)}."
            return ErrorInfo(text, "unknown_tool")
        if len(self._calls) >= MAX_CALLS:
            return _TOO_MANY
        if len(str(arguments)) > MAX_ARGUMENTS:
            return ErrorInfo(f"The arguments have more than {MAX_ARGUMENTS} characters.", "too_large")
        return None

    async def _run(self, ref: ToolRef, arguments: Mapping[str, Json]) -> ToolOutcome:
        tool = self._tools[ref.toolkit, ref.tool]
        try:
            scope, prepare = self._scope, tool.prepare
            plan = tool.planned(arguments, scope) if prepare is None else await prepare(arguments, scope)
            seen = self.shown(ref, arguments) if plan.shown is None else plan.shown
            if plan.shown is not None:
                self._report(self._scope.turn_id, ToolStarted(ref, seen))
            if plan.need is not None and not await self._allowed(ref, seen, plan.need):
                return DECLINED
            async with self._free, asyncio.timeout(tool.seconds) as limit:
                if tool.working is not None:
                    self._report(scope.turn_id, Working(tool.working(seen)))
                asker = partial(self._asked, limit)
                return cut(await plan.run(Call(ref, arguments, self._scope, self._report, asker)))
        except TimeoutError:
            return ErrorInfo(f"It did not answer within {tool.seconds:g} s, and was given up.", "timeout")
        except (ToolFailedError, RoomError) as error:
            return cut_error(error)
        except ProcessError as error:
            logger.warning("the tool %s.%s failed: %s", ref.toolkit, ref.tool, error)
            return cut_error(error)
        except Exception:
            logger.exception("the tool %s.%s failed", ref.toolkit, ref.tool)
            return ErrorInfo("The tool failed; the agent's log says why.", "internal_error")

    async def _allowed(self, ref: ToolRef, arguments: Mapping[str, Json], need: Need) -> bool:
        thread_id = self._scope.thread_id
        if need.lasting and self._consents.given(thread_id, need.key):
            return True
        decisions = EVERY if need.lasting else EACH_TIME
        decision, _ = await self._decided(ApprovalRequested(ref, arguments, need.reason, decisions))
        if need.lasting and decision is Decision.ACCEPT_FOR_SESSION:
            self._consents.give(thread_id, need.key)
        return bool(decision.accepts)

    async def _asked(self, limit: asyncio.Timeout, request: ApprovalRequested) -> tuple[Decision, Answers]:
        """What people say while a tool runs; their time is not the tool's."""
        loop, until = asyncio.get_running_loop(), limit.when()
        left = None if until is None else until - loop.time()
        limit.reschedule(None)
        try:
            return await self._decided(request)
        finally:
            limit.reschedule(None if left is None else loop.time() + left)

    async def _decided(self, request: ApprovalRequested) -> tuple[Decision, Answers]:
        item_id = request.ref.item_id
        waiting: asyncio.Future[tuple[Decision, Answers]] = asyncio.get_running_loop().create_future()
        self._waiting[item_id] = waiting
        try:
            self._report(self._scope.turn_id, request)
            return await waiting
        finally:
            self._waiting.pop(item_id, None)
