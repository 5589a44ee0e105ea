"""Carries out what the supervisor decides: the one place that knows all ports."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import assert_never

from process_agent.agent.provisions import Provisions
from process_agent.agent.record_names import RecordNames
from process_agent.agent.replaying import Replaying
from process_agent.agent.retention import Retention
from process_agent.agent.stopping import Stopping
from process_agent.agent.telling import Telling
from process_agent.agent.thread_files import ThreadFiles
from process_agent.agent.thread_list import NOT_FOUND, ThreadListWork, failure, not_stored
from process_agent.agent.titling import Titling
from process_agent.agent.tools.tool import Report
from process_agent.agent.turn_work import TurnWork, discard
from process_agent.core import commands as c
from process_agent.core.backend import Backend, KeptState
from process_agent.core.channel import Channel
from process_agent.core.content import ErrorInfo
from process_agent.core.events import BackendEvent
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.leases import CLOSED
from process_agent.core.requests import Request, StartTurn
from process_agent.core.retry import LastMessage
from process_agent.core.store import ThreadEntry, ThreadLog, ThreadStore
from process_agent.core.supervisor import Supervisor
from process_agent.core.workspace import Workspaces
from process_agent.errors import ProcessError, RoomRequestError
from process_agent.io.fair_gate import FairGate
from process_agent.io.tasks import Tasks

logger = logging.getLogger(__name__)

CREATING = 8
"""Threads that are made at a time; more wait, everybody's in turn."""

STORE_SECONDS = 30.0
"""How long the end of a turn may take to become durable before it is shown with a notice."""


class Runner:
    """Executes commands and reports what came of them. All of it in one event loop, so that what one
    command shows is shown before the next begins.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        store: ThreadStore,
        backends: Mapping[str, Backend],
        channels: Sequence[Channel],
        provisions: Provisions,
        workspaces: Workspaces | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._store = store
        self._backends = backends
        self._provisions = provisions
        self._workspaces = workspaces
        self._channels = {channel.name: channel for channel in channels}
        self._tasks = Tasks("agent")
        self._telling = Telling(self._channels, self._tasks)
        self._stopping = Stopping(self._tasks, self._carry_out)
        self._creating = FairGate(CREATING)
        self._titling = Titling(backends, self._titled, provisions.metering)
        self._work: dict[ThreadId, TurnWork] = {}
        self._replaying = Replaying(supervisor, self._channels, self._work, self._carry_out)
        names = RecordNames(backends, store, self._work, self._tasks)
        self._list = ThreadListWork(
            supervisor, store, self._carry_out, self._close_work, self._discard, names
        )
        self._timers: dict[c.Timer, asyncio.TimerHandle] = {}
        self._closing: dict[ThreadId, asyncio.Task[None]] = {}
        self._todo: deque[c.Command] = deque()
        self._busy = False
        self._quiet = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def ask(self, request: Request) -> None:
        """Take a request in."""
        self._provisions.intake.enter(lambda: self._stopping.take(self._supervisor.handle(request)))

    def start(self, retention: Retention | None = None) -> None:
        """Begin to see what others do to the list of threads, and to remove old ones if that is wanted."""
        self._tasks.start(self._list.follow(), "follow the thread list")
        if retention is not None:
            self._tasks.start(retention.run(self._list.expire), "retention")

    async def drain(self) -> None:
        """Refuse what waits, interrupt what runs, and wait until every turn has ended."""
        self._provisions.intake.take_all()
        self._carry_out(self._supervisor.stop())
        while not self._supervisor.idle:
            self._quiet.clear()
            await self._quiet.wait()

    async def close(self) -> None:
        """Stop everything and release all threads."""
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()
        await self._tasks.close()
        for thread_id in tuple(self._work):
            await self._close_work(thread_id)

    # --- Carrying out ----------------------------------------------------------------------------

    def _carry_out(self, commands: list[c.Command]) -> None:
        self._todo.extend(commands)
        if self._busy:  # a channel answered at once; what it asked comes after what is being done
            return
        self._busy = True
        try:
            while self._todo:
                self._do(self._todo.popleft())
        finally:
            self._busy = False
        self._quiet.set()

    def _do(self, command: c.Command) -> None:
        for kept in self._stopping.before(command):
            self._do(kept)
        match command:
            case c.Emit():
                self._emit(command)
            case c.Answer():
                self._telling.answer(command)
            case c.OpenView() | c.CloseView():
                self._telling.view(command)
            case c.MakeTitle():
                self._tasks.start(self._titling.make(command), "name a thread")
            case c.Warn(text):
                logger.warning("%s", text)
            case c.StartTimer(timer, seconds):
                self._stop_timer(timer)
                self._timers[timer] = self._loop.call_later(seconds, self._timer_fired, timer)
            case c.StopTimer(timer):
                self._stop_timer(timer)
            case _:
                self._start(command)

    def _emit(self, command: c.Emit) -> None:
        log = self._work[command.event.thread_id].log if command.store else None
        self._telling.emit(command, log, self._todo)

    def _start(
        self,
        command: c.Replay
        | c.CreateThread
        | c.FindOwner
        | c.ForkThread
        | c.OpenLog
        | c.ReleaseThread
        | c.StoreTurnEnd
        | c.TouchThread
        | c.NameThread
        | c.ReadList
        | c.Rename
        | c.Delete
        | c.ForThread
        | c.CloseBackendThread,
    ) -> None:
        """Commands that take time."""
        match command:
            case (
                c.RunTurn()
                | c.AskWorkspace()
                | c.FindLastMessage()
                | c.SteerBackend()
                | c.InterruptBackend()
                | c.AbandonTurn()
                | c.DecideItem()
                | c.AnswerAsk()
            ):
                self._start_backend(command)
            case c.CreateThread():
                self._tasks.start(self._create(command), "create a thread")
            case c.OpenLog():
                self._tasks.begin(self._open(command), "open a thread")
            case c.StoreTurnEnd(thread_id, turn_id):
                self._tasks.begin(self._store_turn(thread_id, turn_id), "store a turn")
            case c.Replay():
                self._tasks.start(self._replaying.begin(command), "replay")
            case c.ReleaseThread(thread_id):
                closing = self._tasks.start(self._close_work(thread_id), "release a thread")
                self._keep_closed(thread_id, closing)
            case c.Delete(request):
                deleting = self._tasks.start(self._list.carry_out(command), "delete a thread")
                self._keep_closed(request.thread_id, deleting)
            case c.CloseBackendThread(thread_id):
                self._tasks.start(self._work[thread_id].forget(), "clear a thread")
            case (
                c.TouchThread() | c.NameThread() | c.ReadList() | c.Rename() | c.FindOwner() | c.ForkThread()
            ):
                self._tasks.start(self._list.carry_out(command), "thread list")
            case _:
                assert_never(command)

    def _start_backend(self, command: c.ForThread) -> None:
        work = self._work[command.thread_id]
        match command:
            case c.RunTurn(thread_id, turn):

                def lost(turn_id: TurnId, error: ErrorInfo) -> None:
                    self._carry_out(self._supervisor.backend_lost(thread_id, turn_id, error))

                self._tasks.start(work.run(turn, self._reporting(thread_id), lost), f"turn {turn.turn_id}")
            case c.AskWorkspace(thread_id, turn_id, asked):
                answering = work.carry_out(asked, turn_id, self._reporting(thread_id))
                self._tasks.start(answering, asked.value)
            case c.FindLastMessage(_, request):
                self._tasks.start(self._find_last(work, request), "find the last message")
            case c.SteerBackend():
                self._tasks.start(self._steer(work, command), "steer")
            case c.InterruptBackend(_, turn_id):
                self._tasks.start(self._stopping.interrupt(work, turn_id), "interrupt")
            case c.AbandonTurn(_, turn_id):
                self._tasks.start(work.abandon(turn_id), "abandon")
            case c.DecideItem():
                self._tasks.start(self._decide(work, command), "decide")
            case c.AnswerAsk():
                self._tasks.start(self._answer(work, command), "answer")
            case _:
                assert_never(command)

    def _reporting(self, thread_id: ThreadId) -> Report:
        def report(turn_id: TurnId, event: BackendEvent) -> None:
            self._carry_out(self._supervisor.backend_event(thread_id, turn_id, event))

        return report

    # --- Backend ---------------------------------------------------------------------------------

    async def _steer(self, work: TurnWork, command: c.SteerBackend) -> None:
        try:
            error = await work.steer(command.turn_id, command.content, command.sender_name)
        except Exception as reason:
            logger.exception("steering %s failed", command.turn_id)
            error = ErrorInfo(f"The backend failed: {reason!r}", "internal_error")
        decided = self._supervisor.steer_decided(command.thread_id, command.turn_id, command.source, error)
        self._carry_out(decided)

    async def _decide(self, work: TurnWork, command: c.DecideItem) -> None:
        known = False
        try:
            known = await work.decide(command.item_id, command.decision, command.answers)
        except Exception:
            logger.exception("the decision about %s did not arrive", command.item_id)
        turn_id, item_id = command.turn_id, command.item_id
        self._carry_out(self._supervisor.item_decided(command.thread_id, turn_id, item_id, known))

    async def _answer(self, work: TurnWork, command: c.AnswerAsk) -> None:
        # Nothing of the answer may get into the log: it can be a secret.
        try:
            known = await work.answer(command.turn_id, command.ask_id, command.answer)
        except ProcessError as error:
            logger.warning("the answer to %s did not arrive: %s", command.ask_id, type(error).__name__)
        except Exception as error:  # noqa: BLE001 -- what it says may hold the secret
            logger.error("the answer to %s did not arrive: %s", command.ask_id, type(error).__name__)
        else:
            if not known:
                logger.info("nothing waits for the answer to %s", command.ask_id)

    # --- Thread store ----------------------------------------------------------------------------

    async def _create(self, command: c.CreateThread) -> None:
        key = command.key
        leave = await self._creating.enter(command.asked_by)
        try:
            entry = await self._store.create(command.name, command.owner)
            log = await self._store.open(entry.path)
        except Exception as error:
            logger.exception("creating a thread failed")
            failed = failure("The room did not create the thread", error)
            self._carry_out(self._supervisor.thread_not_created(key, failed))
            return
        finally:
            leave()
        self._work[entry.path] = self._work_on(entry.path, log, new=True)
        self._carry_out(self._supervisor.thread_created(key, entry))

    async def _open(self, command: c.OpenLog) -> None:
        thread_id, created = command.thread_id, None
        if (closing := self._closing.get(thread_id)) is not None:
            await asyncio.wait([closing])
        try:
            log, created = await self._open_log(command)
            due = not log.model_known
            model, usage = None if due else await log.model(), await log.usage()
        except Exception as error:
            logger.info("%s cannot be opened", thread_id, exc_info=not isinstance(error, ProcessError))
            failed = failure("The thread cannot be opened", error)
            self._carry_out(self._supervisor.log_not_opened(thread_id, failed))
            return
        self._work[thread_id] = self._work_on(thread_id, log, new=created is not None)
        with self._replaying.opening(thread_id):
            self._carry_out(self._supervisor.log_opened(thread_id, model, usage, created, model_due=due))
        if due:
            finding = self._tasks.start(self._find_model(thread_id, log), "find the model")
            self._replaying.model_due(thread_id, finding)

    async def _find_model(self, thread_id: ThreadId, log: ThreadLog) -> None:
        """Where the end of a long thread does not tell the model, what is stored is shown meanwhile."""
        try:
            await self._replaying.begun(thread_id)
            found = self._supervisor.model_found(thread_id, await log.model())
        except Exception as error:
            logger.info("%s has no known model", thread_id, exc_info=not isinstance(error, ProcessError))
            failed = failure("The thread cannot be opened", error)
            found = self._supervisor.model_not_found(thread_id, failed)
        self._carry_out(found)

    def _work_on(self, thread_id: ThreadId, log: ThreadLog, *, new: bool) -> TurnWork:
        log.watch_saving(lambda behind: self._carry_out(self._supervisor.saving(thread_id, behind)))
        log.watch_closed(lambda turn: self._closed_by_another(thread_id, turn))
        files = ThreadFiles(None if self._workspaces is None else self._workspaces.of(thread_id))
        return TurnWork(thread_id, log, self._backends, self._provisions, files, new=new)

    def _closed_by_another(self, thread_id: ThreadId, turn_id: TurnId) -> None:
        """We were away for so long that another agent ended the turn: it is over here, too."""
        if (work := self._work.get(thread_id)) is not None:
            self._tasks.start(work.abandon(turn_id), "abandon")
        self._carry_out(self._supervisor.backend_lost(thread_id, turn_id, CLOSED))

    async def _open_log(self, command: c.OpenLog) -> tuple[ThreadLog, ThreadEntry | None]:
        """The log of a thread, and its entry if it had to be made."""
        thread_id = command.thread_id
        try:
            return await self._store.open(thread_id, turns=command.turns), None
        except RoomRequestError as error:
            if command.create is None or error.code != NOT_FOUND:
                raise
        log = await self._store.open(thread_id, create=command.create)
        return log, await self._store.touch(thread_id)

    async def _store_turn(self, thread_id: ThreadId, turn_id: TurnId) -> None:
        error, log = None, self._work[thread_id].log
        if self._telling.follows(thread_id, log):
            self._carry_out(self._supervisor.turn_stored(thread_id, turn_id, None))
            return
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await log.flush()
        except TimeoutError:
            error = not_stored(f"the room did not answer in {STORE_SECONDS:.0f} s")
        except ProcessError as reason:
            error = not_stored(str(reason))
        except Exception as reason:
            logger.exception("storing turn %s failed", turn_id)
            error = not_stored(repr(reason))
        self._carry_out(self._supervisor.turn_stored(thread_id, turn_id, error))

    async def _find_last(self, work: TurnWork, request: StartTurn) -> None:
        found: LastMessage | ErrorInfo | None
        try:
            found = await work.last_message()
        except ProcessError as reason:
            found = failure("The thread cannot be read", reason)
        self._carry_out(self._supervisor.last_message(request, found))

    async def _discard(self, thread_id: ThreadId, kept: Sequence[tuple[str, KeptState]]) -> None:
        await self._provisions.attachments.forget(thread_id)
        self._tasks.start(discard(self._backends, thread_id, kept), "drop what was kept")
        if self._workspaces is not None:
            self._tasks.start(self._workspaces.remove(thread_id), "remove a workspace")

    def _titled(self, thread_id: ThreadId, title: str | None) -> None:
        self._carry_out(self._supervisor.title_made(thread_id, title))

    # --- Threads and timers ----------------------------------------------------------------------

    def _keep_closed(self, thread_id: ThreadId, closing: asyncio.Task[None]) -> None:
        """Whoever opens the thread again waits until it is closed."""
        self._closing[thread_id] = closing
        closing.add_done_callback(lambda _: self._closing.pop(thread_id, None))

    async def _close_work(self, thread_id: ThreadId) -> None:
        if (work := self._work.pop(thread_id, None)) is None:
            return
        try:
            await work.close()
        except ProcessError as error:
            logger.warning("%s did not close cleanly: %s", thread_id, error)

    def _timer_fired(self, timer: c.Timer) -> None:
        self._timers.pop(timer, None)
        self._carry_out(self._supervisor.timer_fired(timer))

    def _stop_timer(self, timer: c.Timer) -> None:
        if (handle := self._timers.pop(timer, None)) is not None:
            handle.cancel()
