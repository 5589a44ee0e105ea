"""One room thread at work: its log, its backend thread, and the turn that runs on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from process_agent.agent import pictures
from process_agent.agent.provisions import Provisions
from process_agent.agent.thread_files import ThreadFiles
from process_agent.agent.tools.mcp import TurnServers
from process_agent.agent.tools.tool import Report, Scope
from process_agent.agent.tools.toolbox import TurnTools
from process_agent.agent.usage_answers import answer_usage
from process_agent.core.backend import (
    Answered,
    Backend,
    BackendThread,
    HistoryItem,
    KeptState,
    TurnInput,
)
from process_agent.core.content import ContentPart, ErrorInfo
from process_agent.core.decisions import Answers, Decision
from process_agent.core.events import EndReason, TextDelta, TextEnded, TextStarted, TurnEnded
from process_agent.core.ids import AskId, ItemId, ThreadId, TurnId
from process_agent.core.mcp import UNSUPPORTED
from process_agent.core.retry import LastMessage, of_log
from process_agent.core.store import Page, ThreadLog
from process_agent.core.turn_output import NOTICE
from process_agent.core.usage import UsageQuestion
from process_agent.core.workspace import FileCommand
from process_agent.errors import ProcessError, TurnRefusedError

logger = logging.getLogger(__name__)

OPEN_SECONDS = 120.0
"""How long a backend may take to open a thread."""

LOOK_BACK = 50
"""Turns among which the last message for a model is looked for."""

START_SECONDS = 0.3
"""How long a turn that was given to its backend may be silent before the next one begins."""

type ReportLoss = Callable[[TurnId, ErrorInfo], None]


class TurnWork:
    """Owns the log and the backend thread of one room thread. The backend thread is opened with the first
    turn, and again when a turn wants another backend, with everything the room's thread holds by then. `new`
    says that the thread was made just now.
    """

    def __init__(
        self,
        thread_id: ThreadId,
        log: ThreadLog,
        backends: Mapping[str, Backend],
        provisions: Provisions,
        files: ThreadFiles,
        *,
        new: bool = False,
    ) -> None:
        self.log = log
        self._provisions = provisions
        self._files = files
        self._thread_id = thread_id
        self._backends = backends
        self._backend: str | None = None
        self._thread: BackendThread | None = None
        self._runs: dict[TurnId, _Run] = {}
        self._steering = asyncio.Lock()
        self._free = asyncio.Lock()
        self._new = new
        self._problems: tuple[str, ...] = ()
        """What was said of tools that were missing in the turn before."""
        self.called: str | None = None
        """The thread's name, as the list said last."""
        self.recorded_anew = False
        """Whether a backend's record of the thread is not called as the thread is."""

    async def run(self, turn: TurnInput, report: Report, lost: ReportLoss) -> None:
        """Run a turn to its end, reporting every event. Raises nothing."""
        running = self._runs[turn.turn_id] = _Run(asyncio.current_task())
        try:
            await (
                self._provisions.intake.calm()
            )  # the backend would take the processor before people are told
            async with self._free:  # an abandoned turn may still be on its way out
                await self._run(turn, running, report, lost)
        except asyncio.CancelledError:
            if not running.stopped:
                raise
            report(turn.turn_id, TurnEnded(EndReason.INTERRUPTED))
        except TurnRefusedError as error:
            report(turn.turn_id, _failed(str(error), error.code))
        except ProcessError as error:
            report(turn.turn_id, _failed(str(error), "backend_failed"))
        except TimeoutError:
            text = f"The backend did not open the thread in {OPEN_SECONDS:.0f} s."
            report(turn.turn_id, _failed(text, "backend_failed"))
        except Exception as error:
            logger.exception("turn %s of %s failed", turn.turn_id, self._thread_id)
            lost(turn.turn_id, ErrorInfo(f"The backend failed: {error!r}", "internal_error"))
        finally:
            running.begun.set()
            self._files.end()
            if running.tools is not None:
                running.tools.close(stopped=running.stopped)
            del self._runs[turn.turn_id]

    async def _run(self, turn: TurnInput, running: _Run, report: Report, lost: ReportLoss) -> None:
        leave = await self._provisions.starting.enter(turn.sender_name or "")
        try:
            await self._run_inside(turn, running, report, lost, leave)
        finally:
            leave()

    async def _run_inside(
        self, turn: TurnInput, running: _Run, report: Report, lost: ReportLoss, leave: Callable[[], None]
    ) -> None:
        """`leave` tells the gate that others may begin."""
        async with asyncio.timeout(OPEN_SECONDS):
            await self._files.begin(turn, report)
            if turn.replaces is not None:  # what comes after that turn goes on from what was before it
                await self._close_thread()
            opened = self._thread
            thread = await self._open(turn)
            content = await self._provisions.attachments.resolve(self._thread_id, turn.content)
            running.tools = await self._tools(turn, report)
            standing = await self._provisions.rules.read(turn.client, self._project(turn))
        for number, text in enumerate(standing.news):
            _say(f"{turn.turn_id}:rules-{number}", text, turn.turn_id, report)
        meter = self._provisions.metering.of_turn(self._thread_id, turn.turn_id, turn.model)
        turn = replace(turn, content=content, toolbox=running.tools, rules=standing.text, meter=meter)
        turn = self._files.told(turn, knows=thread is not opened)
        running.opened = True
        asyncio.get_running_loop().call_later(START_SECONDS, leave)
        events = thread.run(turn)
        try:
            async for event in events:
                running.begun.set()
                leave()
                self._files.observe(event)
                for told in await pictures.in_room(
                    self._provisions.attachments.images, self._thread_id, event
                ):
                    report(turn.turn_id, told)
                if isinstance(event, TurnEnded):
                    return
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        lost(turn.turn_id, ErrorInfo("The backend stopped without saying how.", "backend_lost"))

    async def carry_out(self, command: FileCommand | UsageQuestion, turn_id: TurnId, report: Report) -> None:
        """Have the thread's files compared or put back, in a turn of its own; put back while nothing runs. Or
        say what was used.
        """
        if isinstance(command, UsageQuestion):
            await answer_usage(self._provisions.metering, command, self._thread_id, turn_id, report)
            return
        async with self._free if command.writes else nullcontext():
            await self._files.carry_out(command, turn_id, report)

    async def last_message(self) -> LastMessage | None:
        """What was said last to a model, as far as the log tells. Raises `RoomError`."""
        return of_log([event async for event in self.log.replay(page=Page(limit=LOOK_BACK))])

    async def _tools(self, turn: TurnInput, report: Report) -> TurnTools | None:
        backend = self._backends[turn.model.backend]
        if turn.mcp_servers and not (backend.takes_mcp or backend.takes_tools):
            text = f"The backend {backend.name} cannot use MCP servers: choose another model."
            raise TurnRefusedError(text, code=UNSUPPORTED)
        if turn.compact or not backend.takes_tools:
            return None
        sender, folder = turn.sender_name, self._files.folder
        scope = Scope(self._thread_id, turn.turn_id, sender, self.log, folder)
        servers = None if backend.takes_mcp else TurnServers(turn.mcp_servers, self._provisions.mcp_anywhere)
        tooling, local = self._provisions.tooling, not backend.runs_commands
        opened = await tooling.open(scope, report, servers, local=local)
        known, self._problems = self._problems, opened.problems
        for number, text in enumerate(opened.problems):
            if text not in known:
                _say(f"{turn.turn_id}:tools-{number}", text, turn.turn_id, report)
        return opened.tools

    def _project(self, turn: TurnInput) -> Path | None:
        """The folder in which the turn's model works, unless its backend reads the project's rules itself."""
        shell = self._provisions.shell_folder
        if shell is None or self._backends[turn.model.backend].runs_commands:
            return None
        return self._files.folder or shell

    async def _open(self, turn: TurnInput) -> BackendThread:
        name = turn.model.backend
        if self._thread is not None and self._backend == name:
            return self._thread
        await self._close_thread()
        backend = self._backends.get(name)
        if backend is None:
            raise TurnRefusedError(f"This agent has no backend {name!r}.", code="unknown_backend")
        history: Sequence[HistoryItem] = ()
        state = LoggedState(self.log, name, on_keep=None if self._new else self._recorded)
        if not self._new:  # nothing was said in a new thread before
            said, kept = await self.log.history(), await self.log.kept()
            history = await self._provisions.attachments.recalled(self._thread_id, said)
            state = LoggedState(self.log, name, kept.get(name), self._recorded)
            for other in [each for each in kept if each != name and kept[each] and turn.replaces is not None]:
                self.log.keep(other, {})  # it remembers the turn that is replaced, and nobody tells it
        self._new = False
        self._thread = await backend.open_thread(self._thread_id, history, state)
        self._backend = name
        return self._thread

    def _recorded(self) -> None:
        self.recorded_anew = True

    async def steer(
        self, turn_id: TurnId, content: tuple[ContentPart, ...], sender_name: str | None
    ) -> ErrorInfo | None:
        """Give the running turn more input, in the order of the calls, and return when its model has it; why
        not, if it does not get it.
        """
        running = self._runs.get(turn_id)
        try:
            async with self._steering:
                if running is not None:
                    await running.begun.wait()
                files = await self._provisions.attachments.resolve(self._thread_id, content)
            # Nothing else runs between this and the call: the order stays, though the next need not wait.
            thread = self._thread
            if thread is None or turn_id not in self._runs:
                return ErrorInfo("The turn has ended; send the message as a new turn.", "turn_ended")
            await thread.steer(files, sender_name)
        except TurnRefusedError as error:
            return ErrorInfo(str(error), error.code)
        except ProcessError as error:
            return ErrorInfo(str(error), "steer_failed")
        return None

    async def interrupt(self, turn_id: TurnId) -> None:
        """Stop the running turn soon, also while its backend thread is still being opened."""
        running = self._runs.get(turn_id)
        if running is None:
            return
        running.stopped = True
        if not running.opened and running.task is not None:
            running.task.cancel()
        elif self._thread is not None:
            try:
                await self._thread.interrupt()
            except ProcessError as error:
                logger.warning("turn %s of %s: %s", turn_id, self._thread_id, error)

    async def decide(self, item_id: ItemId, decision: Decision, answers: Answers) -> bool:
        """Answer an approval request; False when nothing waits."""
        boxes = [run.tools for run in self._runs.values() if run.tools is not None]
        if any(tools.decide(item_id, decision, answers) for tools in boxes):
            return True
        return self._thread is not None and await self._thread.decide(item_id, decision, answers)

    async def answer(self, turn_id: TurnId, ask_id: AskId, answer: Answered) -> bool:
        """Answer what the running turn asked of its sender; False when nothing waits."""
        running = self._runs.get(turn_id)
        if self._thread is None or running is None or not running.opened:
            return False
        return await self._thread.answer(ask_id, answer)

    async def abandon(self, turn_id: TurnId) -> None:
        """Give up on a backend that does not end its turn."""
        running = self._runs.get(turn_id)
        if running is None:
            return
        logger.warning("turn %s of %s did not stop and is abandoned", turn_id, self._thread_id)
        running.stopped = True
        if running.task is not None:
            running.task.cancel()
        await self._close_thread()

    async def forget(self) -> None:
        """The thread was cleared: close the backend thread, once no turn is on its way out, and let backends
        drop what they kept. The next turn opens another.
        """
        async with self._free:
            await self._close_thread()
        self._provisions.tooling.left(self._thread_id)
        try:
            kept = await self.log.ever_kept()
        except ProcessError as error:
            logger.warning("what backends kept with %s is not known: %s", self._thread_id, error)
            return
        await discard(self._backends, self._thread_id, kept)

    async def close(self) -> None:
        """Release the backend thread, then the log."""
        await self._close_thread()
        self._provisions.tooling.left(self._thread_id)
        await self.log.close()

    async def _close_thread(self) -> None:
        thread, self._thread, self._backend = self._thread, None, None
        if thread is None:
            return
        try:
            await thread.close()
        except ProcessError as error:
            logger.warning("%s did not close cleanly: %s", self._thread_id, error)


async def discard(
    backends: Mapping[str, Backend], thread_id: ThreadId, kept: Sequence[tuple[str, KeptState]]
) -> None:
    """Let backends drop what they kept with a thread that was cleared or deleted. Raises nothing."""
    for name, state in kept:
        if (backend := backends.get(name)) is None:
            continue
        try:
            await backend.discard(thread_id, state)
        except ProcessError as error:
            logger.warning("what %s kept with %s is not dropped: %s", name, thread_id, error)


class LoggedState:
    """See `core.backend.ThreadState`: what one backend keeps in the log of a thread. `on_keep` hears when it
    keeps something else.
    """

    def __init__(
        self,
        log: ThreadLog,
        backend: str,
        kept: KeptState | None = None,
        on_keep: Callable[[], None] | None = None,
    ) -> None:
        self._log = log
        self._backend = backend
        self._kept = kept
        self._on_keep = on_keep

    @property
    def durable(self) -> bool:
        """Whether the log outlives the agent."""
        return self._log.durable

    @property
    def kept(self) -> KeptState | None:
        """What was kept last."""
        return self._kept

    def keep(self, state: KeptState) -> None:
        """Keep this from now on."""
        self._kept = state
        self._log.keep(self._backend, state)
        if self._on_keep is not None:
            self._on_keep()

    async def flush(self) -> None:
        """Return when it is durable."""
        await self._log.flush()


class _Run:
    """A turn that runs. `opened` once the backend has it, `stopped` by an interrupt."""

    __slots__ = ("begun", "opened", "stopped", "task", "tools")

    def __init__(self, task: asyncio.Task[object] | None) -> None:
        self.task = task
        self.begun = asyncio.Event()
        self.opened = False
        self.stopped = False
        self.tools: TurnTools | None = None


def _say(name: str, text: str, turn_id: TurnId, report: Report) -> None:
    """A line of the agent's own; no model hears of it."""
    item = ItemId(f"{NOTICE}{name}")
    for event in (
        TextStarted(item, "commentary"),
        TextDelta(item, text, "commentary"),
        TextEnded(item, "commentary"),
    ):
        report(turn_id, event)


def _failed(text: str, code: str) -> TurnEnded:
    return TurnEnded(EndReason.FAILED, ErrorInfo(text, code))
