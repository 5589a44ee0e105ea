"""Input for a turn that runs already: taken, or refused with the reason."""

from __future__ import annotations

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core.admission import Admission
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import MessageId
from process_agent.core.requests import SteerTurn
from process_agent.core.speaker import Speaker
from process_agent.core.turn import Steer, Turn

_ENDED = ErrorInfo("The turn has ended; send the message as a new turn.", "turn_ended")
_ENDING = ErrorInfo("The turn is ending; send the message as a new turn.", "turn_ended")
_OVER = ErrorInfo("The turn ended before it took this up; send it as a new turn.", "turn_ended")
_STOPPED = ErrorInfo(
    "The turn was stopped before it took this up; send it again if it still holds.", "cancelled"
)
_NOT_RUNNING = ErrorInfo("This turn is not running; send the message as a new turn.", "turn_not_in_progress")
_NO_INPUT = ErrorInfo("This turn takes no input; send the message as a new turn.", "turn_not_in_progress")
_TOO_MANY = ErrorInfo("This turn has not taken up what was said to it yet; wait.", "too_many_requests")


class Steering:
    """The steers of one thread's turns."""

    def __init__(self, speaker: Speaker, admission: Admission) -> None:
        self._speaker = speaker
        self._admission = admission

    def steer(self, request: SteerTurn, viewer: c.Viewer, turn: Turn | None, *, ended: bool) -> None:
        """Give the running turn more input, or say why not. `turn` is the one meant, if it runs; `ended` says
        that it did.
        """
        source, name = request.envelope.message_id, request.envelope.sender.name
        refusal = _ENDED if ended else self._refusal(turn, viewer)
        if turn is None or refusal is not None:
            rejected = e.SteerRejected(source, refusal or _NOT_RUNNING)
            self._speaker.tell(rejected, viewer, request.turn_id)
            return
        if self._admission.repeated(source, "steer"):
            return
        self._admission.note(source)
        said = e.SteerRequested(request.content, name)
        self._speaker.relay(self._speaker.make(said, turn, message_id=source), viewer, store=False)
        self._speaker.say_with(e.SteerAccepted(source, request.content, name), turn, viewer)
        turn.steers[source] = Steer(request.content, name, viewer)
        self._speaker.out(c.SteerBackend(self._speaker.thread_id, turn.id, source, request.content, name))

    def _refusal(self, turn: Turn | None, viewer: c.Viewer) -> ErrorInfo | None:
        if turn is None:
            return _NOT_RUNNING
        if not turn.for_model:
            return _NO_INPUT
        if turn.interrupt is not None or turn.ending is not None:
            return _ENDING
        if turn.options.client_tools and turn.sender != viewer:
            text = f"This turn uses the client of {turn.sender_name}; send the message as a new turn."
            return ErrorInfo(text, "turn_owned_by_participant")
        if len(turn.steers) >= self._speaker.setting.limits.steers:
            return _TOO_MANY
        return None

    def decided(self, turn: Turn, source: MessageId, error: ErrorInfo | None) -> bool:
        """Whether the backend took a steer; returns whether anybody still waited to hear it."""
        steer = turn.steers.pop(source, None)
        if steer is None:
            return False
        if error is None:
            said = e.SteerRequested(steer.content, steer.sender_name)
            self._speaker.store_relayed(self._speaker.make(said, turn, message_id=source))
            self._tell(e.Steered(source, steer.content, steer.sender_name), turn, steer)
            turn.added += steer.content
        else:
            self._tell(e.SteerRejected(source, _why(turn, error)), turn, steer)
        return True

    def over(self, turn: Turn) -> None:
        """The turn ends; steers it did not take up are refused."""
        for source, steer in turn.steers.items():
            self._tell(e.SteerRejected(source, _why(turn, _OVER)), turn, steer)

    def left(self, turn: Turn, viewer: c.Viewer) -> None:
        """A participant is gone; nobody waits to hear what came of its steers."""
        for steer in turn.steers.values():
            if steer.sender == viewer:
                steer.sender = None

    def _tell(self, outcome: e.Steered | e.SteerRejected, turn: Turn, steer: Steer) -> None:
        if steer.sender is None:
            self._speaker.say(outcome, turn)
        else:
            self._speaker.say_to(outcome, steer.sender, turn)


def _why(turn: Turn, error: ErrorInfo) -> ErrorInfo:
    """Why a steer was not taken up. What was said before somebody stopped the turn is not to begin another by
    itself, as clients do with what came too late.
    """
    return error if turn.interrupt is None else _STOPPED
