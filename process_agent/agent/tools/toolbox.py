"""The tools of one turn at work: limits, time limits, decisions and clean ends for every call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from process_agent.agent.tools.cutting import cut, cut_error
from process_agent.agent.tools.tool import Call, Need, Report, Scope, Toolkit
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.decisions import EACH_TIME, EVERY, Decision
from process_agent.core.events import ApprovalRequested, ToolRef
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

    def __init__(self, kits: Sequence[Toolkit], scope: Scope, consents: Consents, report: Report) -> None:
        self._kits = {kit.name: kit for kit in kits}
        self._tools = {(kit.name, tool.spec.name): tool for kit in kits for tool in kit.tools}
        self._scope = scope
        self._consents = consents
        self._report = report
        self._free = asyncio.Semaphore(MAX_RUNNING)
        self._calls: set[asyncio.Task[ToolOutcome]] = set()
        self._waiting: dict[ItemId, asyncio.Future[Decision]] = {}
        self._closed = False

    @property
    def toolkits(self) -> tuple[ToolkitSpec, ...]:
        """See the port."""
        return tuple(kit.spec for _, kit in sorted(self._kits.items()))

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

    def decide(self, item_id: ItemId, decision: Decision) -> bool:
        """What somebody decided about a call. False when none waits under this id."""
        waiting = self._waiting.pop(item_id, None)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(decision)
        return True

    def close(self) -> None:
        """The turn is over: what still runs is stopped."""
        self._closed = True
        for task in tuple(self._calls):
            task.cancel()

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
            plan = tool.planned(arguments, self._scope)
            if plan.need is not None and not await self._allowed(ref, arguments, plan.need):
                return DECLINED
            async with self._free, asyncio.timeout(tool.seconds):
                return cut(await plan.run(Call(ref, arguments, self._scope, self._report)))
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
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[ref.item_id] = waiting
        try:
            self._report(self._scope.turn_id, ApprovalRequested(ref, arguments, need.reason, decisions))
            decision = await waiting
        finally:
            self._waiting.pop(ref.item_id, None)
        if need.lasting and decision is Decision.ACCEPT_FOR_SESSION:
            self._consents.give(thread_id, need.key)
        return bool(decision.accepts)
