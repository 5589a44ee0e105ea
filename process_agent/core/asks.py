"""What a turn asks of its sender alone, and waits: that its client runs a tool, or a secret.

Only the sender sees the question and only its answer counts. Nobody waits for ever: a time limit, the sender
leaving, an interrupt and the end of the turn settle what is open.
"""

from __future__ import annotations

from dataclasses import replace

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core.approval_texts import secret_text
from process_agent.core.approvals import Tell
from process_agent.core.backend import Answered
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import AskId
from process_agent.core.requests import AnswerClientTool, AnswerSecret
from process_agent.core.speaker import Speaker
from process_agent.core.turn import Ask, Turn

MAX_ASKS = 64
"""Questions of one turn that wait at a time."""

LEFT = ErrorInfo("The participant whose client offers this left the room.", "client_left")
LATE = ErrorInfo("The client did not answer in time.", "client_timeout")
INTERRUPTED = ErrorInfo("The turn was interrupted.", "cancelled")
ENDED = ErrorInfo("The turn ended.", "turn_ended")
NOBODY = ErrorInfo("Nobody can be asked for this: a channel without people sent the message.", "unattended")
_UNKNOWN = ErrorInfo("The client of this turn offers no such tool.", "unknown_client_tool")
_TOO_MANY = ErrorInfo(f"{MAX_ASKS} questions wait for the client already.", "too_many_requests")


class Asks:
    """The questions of one thread's turns. That a secret is asked for is told to everybody in words: some
    clients do not ask for it.
    """

    def __init__(self, speaker: Speaker, tell: Tell) -> None:
        self._speaker = speaker
        self._tell = tell
        self._out = speaker.out

    def ask(self, turn: Turn, question: Ask) -> None:
        """Ask the sender, or tell the backend at once why not."""
        if question.ask_id in turn.asks:
            self._out(c.Warn(f"{question.ask_id} of turn {turn.id} was asked twice"))
            return
        refusal = _refusal(turn, question)
        if refusal is not None:
            self._answer(turn, question.ask_id, refusal)
            return
        if isinstance(question, e.ClientToolRequested):
            question = replace(question, target=turn.sender.participant)
        turn.asks[question.ask_id] = question
        limits = self._speaker.setting.limits
        seconds = limits.client_tool if isinstance(question, e.ClientToolRequested) else limits.secret
        self._out(c.StartTimer(self._timer(turn, question.ask_id), seconds))
        if isinstance(question, e.SecretRequested):
            agent = self._speaker.setting.agent_name
            self._tell(secret_text(question, agent, turn.sender_name or "its sender", seconds), turn)
        self._speaker.tell_event(self._speaker.make(question, turn), turn.sender)

    def answer(self, turn: Turn | None, request: AnswerClientTool | AnswerSecret) -> None:
        """What the sender answered. Answers of others are warned about; late and doubled ones are nothing."""
        sender = request.envelope.sender
        if turn is None:
            return
        if turn.sender != c.Viewer(request.envelope.channel, sender.id):
            self._out(
                c.Warn(f"{sender.name or sender.id} answered for the sender of turn {turn.id}; ignored")
            )
            return
        question = turn.asks.get(request.ask_id)
        if isinstance(question, e.ClientToolRequested) and isinstance(request, AnswerClientTool):
            self._settle(turn, request.ask_id, request.response)
        elif isinstance(question, e.SecretRequested) and isinstance(request, AnswerSecret):
            self._settle(turn, request.ask_id, request.secret)
        elif question is not None:
            self._out(c.Warn(f"{request.ask_id} of turn {turn.id} got an answer of another kind; ignored"))

    def withdrawn(self, turn: Turn, event: e.ClientToolCancelled) -> None:
        """The backend waits no more."""
        if event.ask_id in turn.asks:
            self._cancel(turn, event.ask_id, event.reason)

    def expired(self, turn: Turn, ask_id: AskId) -> None:
        """Nobody answered in time."""
        if ask_id in turn.asks:
            self._cancel(turn, ask_id, LATE.message)
            self._answer(turn, ask_id, LATE)

    def abandon(self, turn: Turn, why: ErrorInfo) -> None:
        """Nothing that is open will be answered any more."""
        for ask_id in tuple(turn.asks):
            self._cancel(turn, ask_id, why.message)
            if why is not ENDED:  # then nobody waits
                self._answer(turn, ask_id, why)

    def _settle(self, turn: Turn, ask_id: AskId, answer: Answered) -> None:
        del turn.asks[ask_id]
        self._out(c.StopTimer(self._timer(turn, ask_id)))
        self._answer(turn, ask_id, answer)

    def _cancel(self, turn: Turn, ask_id: AskId, reason: str) -> None:
        question = turn.asks.pop(ask_id)
        self._out(c.StopTimer(self._timer(turn, ask_id)))
        if turn.present and isinstance(question, e.ClientToolRequested):
            body = e.ClientToolCancelled(ask_id, question.tool, reason, question.target)
            self._speaker.tell_event(self._speaker.make(body, turn), turn.sender)

    def _answer(self, turn: Turn, ask_id: AskId, answer: Answered) -> None:
        self._out(c.AnswerAsk(self._speaker.thread_id, turn.id, ask_id, answer))

    def _timer(self, turn: Turn, ask_id: AskId) -> c.Timer:
        return c.Timer(c.TimerKind.ASK, self._speaker.thread_id, turn.id, ask_id=ask_id)


def _refusal(turn: Turn, question: Ask) -> ErrorInfo | None:
    if not turn.present:
        return LEFT
    if turn.interrupt is not None:
        return INTERRUPTED
    if not turn.options.can_answer:
        return NOBODY
    if len(turn.asks) >= MAX_ASKS:
        return _TOO_MANY
    offered = {tool.name for tool in turn.options.client_tools}
    if isinstance(question, e.ClientToolRequested) and question.tool not in offered:
        return _UNKNOWN
    return None
