"""The turns of one thread: queued in order, one running at a time, each ended exactly once."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from process_agent.core import asks
from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core.admission import Admission
from process_agent.core.asides import Asides
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import ItemId, MessageId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.requests import (
    AnswerClientTool,
    AnswerSecret,
    InterruptTurn,
    StartThread,
    StartTurn,
    SteerTurn,
)
from process_agent.core.speaker import Setting, Speaker
from process_agent.core.steering import Steering
from process_agent.core.turn import Turn, input_of
from process_agent.core.turn_output import TurnOutput
from process_agent.core.turn_queue import TurnQueue
from process_agent.core.workspace import FileCommand

REMEMBERED = 256
"""Ended turns a thread remembers, to tell requests that come late."""

DELETED = ErrorInfo("The thread was deleted.", "thread_deleted")
STOPPED = ErrorInfo("The agent stopped before this turn could start. Send it again.", "agent_stopped")

_ANSWERED = (e.EndReason.COMPLETED, e.EndReason.INTERRUPTED)


class ThreadTurns:
    """The turns of one thread. Every method acts through the speaker and returns nothing."""

    def __init__(self, speaker: Speaker, model: ModelChoice) -> None:
        self.model = model
        self.running: Turn | None = None
        self.deleted = False
        self.queue = TurnQueue(speaker.setting.waiting)
        self.output = TurnOutput(speaker)
        self.last: Turn | None = None
        """The last turn for a model, if one was accepted since the thread was opened."""
        self._speaker = speaker
        self._out = speaker.out
        self._limits = speaker.setting.limits
        self._unpublished: dict[TurnId, e.ThreadEvent] = {}
        self._admission = Admission(speaker)
        self._steering = Steering(speaker, self._admission)
        self._ended: deque[TurnId] = deque(maxlen=REMEMBERED)
        self.asides = Asides(speaker, self._admission, self._finish_aside, lambda: len(self._unpublished))

    @property
    def setting(self) -> Setting:
        """What all threads share."""
        return self._speaker.setting

    @property
    def idle(self) -> bool:
        """Whether nothing runs, waits or is being stored."""
        return self.at_rest and not self._unpublished and not self.asides

    @property
    def at_rest(self) -> bool:
        """Whether no turn for the backend runs or waits."""
        return self.running is None and not self.queue

    @property
    def unfinished(self) -> frozenset[TurnId]:
        """The turns that run or wait."""
        return frozenset(turn.id for turn in (self.running, *self.queue) if turn is not None)

    @property
    def active(self) -> Turn | None:
        """The turn the backend works on."""
        return None if self.running is None else self._under_way(self.running.id)

    @property
    def unpublished(self) -> tuple[MessageId, ...]:
        """Ids of events that are in the log and were not shown yet."""
        return tuple(event.message_id for event in self._unpublished.values())

    @property
    def status(self) -> e.ThreadEvent:
        """The current status line."""
        return self.output.status(self.running)

    def model_now(self) -> e.ThreadEvent:
        """The model of the next turn, for one who did not see it chosen."""
        choice = self.model
        changed = e.ModelChanged(None, choice.backend, choice.provider, choice.model, choice.effort)
        return self._speaker.make(changed)

    def so_far(self) -> list[e.ThreadEvent]:
        """The turns that run and wait, as somebody who did not load the thread should see them."""
        turns = [turn for turn in (self.running, *self.queue) if turn is not None]
        intro = [event for turn in turns for event in self._admission.introduce(turn)]
        return intro + self.output.live.all_events()

    # --- What participants ask -------------------------------------------------------------------

    def accept(
        self,
        request: StartTurn | StartThread,
        viewer: c.Viewer,
        model: ModelChoice | None,
        *,
        compact: bool = False,
        files: FileCommand | None = None,
    ) -> None:
        """Queue a turn; `model` is the resolved wish, None for the thread's own. The content of one that only
        compacts, or has the workspace do something, is a command, and no model hears of it.
        """
        if self._admission.allows(request, viewer, len(self.queue), self.queue.size):
            turn = self._admission.admit(request, viewer, model)
            turn.compact, turn.files = compact, files
            if turn.for_model:
                self.last = turn
            self.queue.append(turn)
            self._next()

    def clear(self, source: MessageId, viewer: c.Viewer) -> bool:
        """Forget everything said so far; False when a turn runs or waits."""
        if not self.at_rest:
            return False
        if self._admission.repeated(source, "request"):
            return True
        self._admission.note(source)
        self.last = None
        self.output.forget()
        self._speaker.say_to(e.ThreadCleared(source), viewer)
        self._out(c.CloseBackendThread(self._speaker.thread_id))
        self._touch()
        return True

    def steer(self, request: SteerTurn, viewer: c.Viewer) -> None:
        """Give the running turn more input, or say why not."""
        ended = request.turn_id in self._ended or request.turn_id in self._unpublished
        self._steering.steer(request, viewer, self._under_way(request.turn_id), ended=ended)

    def interrupt(self, request: InterruptTurn, viewer: c.Viewer) -> None:
        """Stop a turn, whatever it does. Acknowledged at once."""
        source = request.envelope.message_id
        queued = next((turn for turn in self.queue if turn.id == request.turn_id), None)
        turn = self._under_way(request.turn_id) or queued
        if turn is None:
            self._speaker.tell(e.InterruptAccepted(source), viewer, request.turn_id)
            return
        self._speaker.say_with(e.InterruptAccepted(source), turn, viewer)
        if turn is queued:
            self.queue.remove(turn)
            turn.interrupt = source
            self._finish(turn, e.TurnEnded(e.EndReason.INTERRUPTED))
        else:
            self._interrupt(turn, source)

    def interrupt_running(self, source: MessageId) -> bool:
        """Stop the turn that runs, whichever it is; False when none does."""
        turn = self.running
        if turn is None or not turn.under_way:
            return False
        self._speaker.say(e.InterruptAccepted(source), turn)
        self._interrupt(turn, source)
        return True

    def answer_ask(self, request: AnswerClientTool | AnswerSecret) -> None:
        """What the sender of a turn answered to it."""
        turn = self._under_way(request.turn_id)
        self.output.asks.answer(turn, request)
        if turn is not None:
            self.output.refresh(turn)

    def left(self, viewer: c.Viewer) -> None:
        """A participant is gone; nothing can be asked of it any more."""
        if self.running is not None:
            self._steering.left(self.running, viewer)
        for turn in (self.running, *self.queue):
            if turn is not None and turn.sender == viewer:
                turn.present = False
                self.output.asks.abandon(turn, asks.LEFT)
                if turn.under_way:
                    self.output.refresh(turn)

    def unwatched(self) -> None:
        """Somebody views the thread no more."""
        if self.running is not None and self.running.under_way:
            self.output.approvals.unwatched(self.running)
            self.output.refresh(self.running)

    def change_model(self, choice: ModelChoice, source: MessageId | None, viewer: c.Viewer) -> None:
        """Use another model from the next turn on. Asking for the current one stores nothing."""
        changed = e.ModelChanged(source, choice.backend, choice.provider, choice.model, choice.effort)
        if choice == self.model:
            self._speaker.tell(changed, viewer)
            return
        self.model = choice
        self._speaker.say_to(changed, viewer)

    # --- What the backend says -------------------------------------------------------------------

    def backend_event(self, turn_id: TurnId, event: e.BackendEvent) -> None:
        """One event of the running turn, or of one beside it. What comes after its end is dropped."""
        if self.asides.take(turn_id, event):
            return
        turn = self._under_way(turn_id)
        if turn is None or turn.ending is not None:
            return
        if isinstance(event, e.TurnEnded):
            self._backend_ended(turn, event)
        else:
            self.output.take(event, turn)

    def backend_lost(self, turn_id: TurnId, error: ErrorInfo) -> None:
        """The backend stopped without ending the turn."""
        if self.asides.lost(turn_id, error):
            return
        turn = self._under_way(turn_id)
        if turn is not None:
            self._finish(turn, turn.ending or e.TurnEnded(e.EndReason.LOST, error))

    def steer_decided(self, turn_id: TurnId, source: MessageId, error: ErrorInfo | None) -> None:
        """Whether the backend took a steer."""
        turn = self._under_way(turn_id)
        if turn is None or not self._steering.decided(turn, source, error):
            return
        if turn.ending is not None and not turn.steers:
            self._finish(turn, turn.ending)

    def item_decided(self, turn_id: TurnId, item_id: ItemId, known: bool) -> None:
        """Whether the backend still waited for the decision."""
        turn = self._under_way(turn_id)
        if turn is not None:
            self.output.item_decided(turn, item_id, known)

    def turn_stored(self, turn_id: TurnId, error: ErrorInfo | None) -> ModelChoice | None:
        """The end of a turn is durable, or cannot be made so; now it is shown. Returns the model that
        answered in it, if one did.
        """
        ended = self._unpublished.pop(turn_id, None)
        if ended is None:
            return None
        if error is not None and isinstance(ended.body, e.TurnEnded):
            ended = replace(ended, body=e.TurnEnded(ended.body.reason, _and(ended.body.error, error)))
        self._speaker.show(ended)
        self._ended.append(turn_id)
        turn = self.running
        if turn is not None and turn.id == turn_id:
            self.running = None
            self.output.over(turn)
            self._touch()
            self._next()
        elif turn is not None:
            # Clients clear their status at any turn's end.
            self._speaker.show(self.status)
            return None
        if turn is None or not turn.for_model or not isinstance(ended.body, e.TurnEnded):
            return None
        return turn.model if ended.body.reason in _ANSWERED else None

    def saving(self, behind: bool) -> None:
        """Whether what happens here cannot be stored for now."""
        turn = self.running
        self.output.saving(behind, turn if turn is not None and turn.under_way else None)

    def timer_fired(self, timer: c.Timer) -> None:
        """A time limit ran out."""
        turn = None if timer.turn_id is None else self._under_way(timer.turn_id)
        if turn is None:
            return
        match timer.kind:
            case c.TimerKind.APPROVAL if timer.item_id is not None:
                self.output.approvals.expired(turn, timer.item_id)
                self.output.refresh(turn)
            case c.TimerKind.ASK if timer.ask_id is not None:
                self.output.asks.expired(turn, timer.ask_id)
                self.output.refresh(turn)
            case c.TimerKind.INTERRUPT:
                self._out(c.AbandonTurn(self._speaker.thread_id, turn.id))
                self._finish(turn, turn.ending or e.TurnEnded(e.EndReason.INTERRUPTED))
            case c.TimerKind.STEER if turn.ending is not None:
                self._finish(turn, turn.ending)

    def stop(self) -> None:
        """The agent stops: refuse what waits, interrupt what runs."""
        self._refuse_waiting(STOPPED)
        if self.running is not None and self.running.under_way:
            self._interrupt(self.running, self.running.source)

    def delete(self) -> None:
        """Somebody removed the thread: all turns end, and nothing lists it again."""
        self.deleted = True
        self._refuse_waiting(DELETED)
        if self.running is not None and self.running.under_way:
            self.running.verdict = e.TurnEnded(e.EndReason.FAILED, DELETED)
            self._interrupt(self.running, self.running.source)

    def _refuse_waiting(self, error: ErrorInfo) -> None:
        while self.queue:
            self._finish(self.queue.popleft(), e.TurnEnded(e.EndReason.FAILED, error))

    # --- Inside ----------------------------------------------------------------------------------

    def _touch(self, *, begun: bool = False) -> None:
        if not self.deleted:
            self._out(c.TouchThread(self._speaker.thread_id, begun))

    def _under_way(self, turn_id: TurnId) -> Turn | None:
        turn = self.running
        return turn if turn is not None and turn.id == turn_id and turn.under_way else None

    def _next(self) -> None:
        if self.running is not None or not self.queue:
            return
        turn = self.running = self.queue.popleft()
        if turn.files is not None:
            self._begin(turn, None)
            self._out(c.AskWorkspace(self._speaker.thread_id, turn.id, turn.files))
            return
        choice = turn.model or self.model
        if choice != self.model:
            self.model = choice
            changed = e.ModelChanged(
                turn.source, choice.backend, choice.provider, choice.model, choice.effort
            )
            self._speaker.say(changed, turn)
        self._begin(turn, choice)
        self._out(c.RunTurn(self._speaker.thread_id, input_of(turn, choice)))
        self._touch(begun=True)

    def _begin(self, turn: Turn, choice: ModelChoice | None) -> None:
        turn.start(self._speaker.setting.clock(), choice)
        self._admission.started(turn)
        self.output.begin(turn)

    def _finish_aside(self, turn: Turn, ended: e.TurnEnded) -> None:
        self._finish(turn, ended)
        self._touch()

    def _interrupt(self, turn: Turn, source: MessageId) -> None:
        if turn.interrupt is not None or turn.files is not None:  # files are put back in a moment
            return
        turn.interrupt = source
        self.output.asks.abandon(turn, asks.INTERRUPTED)
        thread_id = self._speaker.thread_id
        self._out(c.InterruptBackend(thread_id, turn.id))
        timer = c.Timer(c.TimerKind.INTERRUPT, thread_id, turn.id)
        self._out(c.StartTimer(timer, self._limits.interrupt))
        self.output.refresh(turn)

    def _backend_ended(self, turn: Turn, ended: e.TurnEnded) -> None:
        if not turn.steers:
            self._finish(turn, ended)
            return
        turn.ending = ended
        self.output.waits_no_more(turn)
        self.output.refresh(turn)
        timer = c.Timer(c.TimerKind.STEER, self._speaker.thread_id, turn.id)
        self._out(c.StartTimer(timer, self._limits.steer))

    def _finish(self, turn: Turn, ended: e.TurnEnded) -> None:
        ended = turn.verdict or ended
        if turn.under_way:
            self._wind_up(turn)
        if ended.reason is e.EndReason.INTERRUPTED:
            self._speaker.say(e.Interrupted(turn.interrupt or turn.source), turn)
        elif ended.reason is not e.EndReason.COMPLETED and ended.error is None:
            ended = e.TurnEnded(ended.reason, ErrorInfo("The turn failed without a reason.", "failed"))
        turn.end()
        self._admission.ended(turn)
        event = self._speaker.make(ended, turn)
        self._unpublished[turn.id] = event
        self._speaker.store(event)
        self._out(c.StoreTurnEnd(self._speaker.thread_id, turn.id))

    def _wind_up(self, turn: Turn) -> None:
        thread_id = self._speaker.thread_id
        if turn.interrupt is not None:
            self._out(c.StopTimer(c.Timer(c.TimerKind.INTERRUPT, thread_id, turn.id)))
        if turn.ending is not None:
            self._out(c.StopTimer(c.Timer(c.TimerKind.STEER, thread_id, turn.id)))
        self.output.wind_up(turn)
        self._steering.over(turn)


def _and(own: ErrorInfo | None, not_stored: ErrorInfo) -> ErrorInfo:
    """Why a turn failed, and that its end is not stored."""
    return not_stored if own is None else ErrorInfo(f"{own.message} {not_stored.message}", own.code)
