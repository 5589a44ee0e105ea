"""The threads an agent has open: what is reported of their turns and replays goes straight to them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.refusals import Refusals
from process_agent.core.requests import StartTurn
from process_agent.core.retry import LastMessage, Retries
from process_agent.core.speaker import Setting, Speaker
from process_agent.core.thread_turns import ThreadTurns
from process_agent.core.threads import LogRequest, Thread
from process_agent.core.titles import Titles
from process_agent.core.views import Views


class OpenThreads(ABC):
    """The half of the supervisor that needs no decision across threads. Each method returns what to do."""

    _retries: Retries
    _titles: Titles
    _refusals: Refusals

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._commands: list[c.Command] = []
        self._views = Views(setting, self._do)
        self._threads: dict[ThreadId, Thread] = {}

    @property
    def watched(self) -> bool:
        """Whether anybody watches the list of threads."""
        return bool(self._views.watchers)

    # --- What came of commands: replays ----------------------------------------------------------

    def replaying(self, replay_id: str) -> bool:
        """Whether somebody still waits for this replay."""
        return self._views.replaying(replay_id)

    def replay_older(self, replay_id: str, cursor: str) -> list[c.Command]:
        """There are turns before those that will be reported."""
        self._views.replay_older(replay_id, cursor)
        return self._take()

    def replayed(self, replay_id: str, event: e.ThreadEvent) -> list[c.Command]:
        """One stored event."""
        self._views.replayed(replay_id, event)
        return self._take()

    def replay_ended(self, replay_id: str, error: ErrorInfo | None = None) -> list[c.Command]:
        """All stored events were reported, or reading them failed."""
        self._views.replay_ended(replay_id, error)
        return self._take()

    # --- What came of commands: the model of a long thread ----------------------------------------

    def model_found(self, thread_id: ThreadId, model: ModelChoice | None) -> list[c.Command]:
        """The model last chosen on a thread whose log was opened without it."""
        thread = self._threads.get(thread_id)
        if thread is None or thread.turns is None or not thread.model_due:
            return []
        thread.model_due, thread.turns.model = False, self._known(model)
        return self._serve_pending(thread, thread.turns, thread_id)

    def model_not_found(self, thread_id: ThreadId, error: ErrorInfo) -> list[c.Command]:
        """Which model was chosen cannot be read; who opens the thread again has it looked for again."""
        thread = self._threads.get(thread_id)
        if thread is None or not thread.model_due:
            return []
        self._do(c.ReleaseThread(thread_id))
        return self._give_up(thread, thread_id, error)

    def _known(self, model: ModelChoice | None) -> ModelChoice:
        catalogue = self._setting.catalogue
        return (None if model is None else catalogue.known(model)) or catalogue.default

    def _serve_pending(self, thread: Thread, turns: ThreadTurns, thread_id: ThreadId) -> list[c.Command]:
        waiting = [request for request in thread.pending if thread.waits(request)]
        served = [request for request in thread.pending if not thread.waits(request)]
        thread.pending = waiting
        for request in served:
            # Who opened the view before turns were accepted here saw those begin.
            self._serve(thread, turns, request, fresh=turns.idle)
        self._watch_idle(thread_id)
        return self._take()

    def _give_up(self, thread: Thread, thread_id: ThreadId, error: ErrorInfo) -> list[c.Command]:
        """The thread cannot be opened: everything that waited for it is refused."""
        del self._threads[thread_id]
        for request in thread.pending:
            self._refusals.refuse(request, error)
        self._views.close_all(thread_id)
        return self._take()

    # --- What came of commands: turns ------------------------------------------------------------

    def backend_event(self, thread_id: ThreadId, turn_id: TurnId, event: e.BackendEvent) -> list[c.Command]:
        """What the backend says about a running turn."""
        if (turns := self._turns(thread_id)) is not None:
            turns.backend_event(turn_id, event)
        return self._take()

    def backend_lost(self, thread_id: ThreadId, turn_id: TurnId, error: ErrorInfo) -> list[c.Command]:
        """The backend stopped without ending the turn."""
        if (turns := self._turns(thread_id)) is not None:
            turns.backend_lost(turn_id, error)
        return self._take()

    def saving(self, thread_id: ThreadId, behind: bool) -> list[c.Command]:
        """Whether what happens in a thread cannot be stored for now."""
        if (turns := self._turns(thread_id)) is not None:
            turns.saving(behind)
        return self._take()

    def steer_decided(
        self, thread_id: ThreadId, turn_id: TurnId, source: MessageId, error: ErrorInfo | None
    ) -> list[c.Command]:
        """Whether the backend took a steer."""
        if (turns := self._turns(thread_id)) is not None:
            turns.steer_decided(turn_id, source, error)
        return self._take()

    def item_decided(
        self, thread_id: ThreadId, turn_id: TurnId, item_id: ItemId, known: bool
    ) -> list[c.Command]:
        """Whether the backend still waited for a decision."""
        if (turns := self._turns(thread_id)) is not None:
            turns.item_decided(turn_id, item_id, known)
        return self._take()

    def timer_fired(self, timer: c.Timer) -> list[c.Command]:
        """A time limit ran out."""
        if timer.kind is c.TimerKind.IDLE:
            self._release(timer.thread_id)
        elif (turns := self._turns(timer.thread_id)) is not None:
            turns.timer_fired(timer)
        return self._take()

    # --- What came of commands: what was looked for or made up ------------------------------------

    def last_message(self, request: StartTurn, found: LastMessage | ErrorInfo | None) -> list[c.Command]:
        """What was said last to a model in a thread, or why its log cannot be read."""
        self._retries.found(self._threads.get(request.thread_id), request, found)
        self._watch_idle(request.thread_id)
        return self._take()

    def title_made(self, thread_id: ThreadId, title: str | None) -> list[c.Command]:
        """What a backend would call a thread."""
        self._do_if(self._titles.made(thread_id, title))
        return self._take()

    @abstractmethod
    def _serve(self, thread: Thread, turns: ThreadTurns, request: LogRequest, fresh: bool) -> None:
        """Carry out a request for a thread that is open."""

    # --- Inside ----------------------------------------------------------------------------------

    def _do(self, command: c.Command) -> None:
        self._commands.append(command)

    def _do_if(self, command: c.Command | None) -> None:
        if command is not None:
            self._do(command)

    def _take(self) -> list[c.Command]:
        taken, self._commands = self._commands, []
        return taken

    def _turns(self, thread_id: ThreadId) -> ThreadTurns | None:
        thread = self._threads.get(thread_id)
        return None if thread is None else thread.turns

    def _speaker(self, thread_id: ThreadId) -> Speaker:
        return Speaker(thread_id, self._setting, self._views.of(thread_id), self._do, self._views.close)

    def _watch_idle(self, thread_id: ThreadId) -> None:
        thread = self._threads.get(thread_id)
        if thread is not None and thread.unused:
            idle = c.Timer(c.TimerKind.IDLE, thread_id)
            self._do(c.StartTimer(idle, self._setting.limits.idle))

    def _release(self, thread_id: ThreadId) -> None:
        thread = self._threads.get(thread_id)
        if thread is not None and thread.unused:
            del self._threads[thread_id]
            self._views.forget(thread_id)
            self._do(c.ReleaseThread(thread_id))
