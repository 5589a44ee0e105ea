"""Requests that wait for people: approvals and questions. No answer in time means no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from process_agent.core.approval_texts import asked_text, question_text
from process_agent.core.commands import DecideItem, StartTimer, StopTimer, Timer, TimerKind
from process_agent.core.content import ErrorInfo
from process_agent.core.decisions import Answers, Decision, check_answer
from process_agent.core.events import ApprovalDecided, ApprovalRequested
from process_agent.core.ids import ItemId
from process_agent.core.participants import Participant
from process_agent.core.speaker import Speaker
from process_agent.core.turn import Approval, Turn

NOBODY_HERE = "nobody who may decide is here"
NOT_ALLOWED = "not_allowed"
NOTHING_WAITS = ErrorInfo("Nothing waits for a decision here.", "nothing_waits")

type Tell = Callable[[str, Turn], None]
"""Says a line of the agent's own in a turn, for clients that draw no cards."""


class Approvals:
    """The requests of one thread."""

    def __init__(self, speaker: Speaker, tell: Tell) -> None:
        self._speaker = speaker
        self._out = speaker.out
        self._tell = tell

    # --- Asking ----------------------------------------------------------------------------------

    def by_rule(self, request: ApprovalRequested) -> Decision | None:
        """What the operator decided for all; people answer questions in any case."""
        if request.questions:
            return None
        return {"auto": Decision.ACCEPT, "deny": Decision.DECLINE}.get(self._speaker.setting.approvals)

    def number(self, turn: Turn, request: ApprovalRequested) -> ApprovalRequested:
        """The request with a number of its own, and who may decide."""
        turn.approvals_asked += 1
        approvers = self._speaker.setting.approvers.named
        return replace(request, number=turn.approvals_asked, approvers=approvers)

    def ask(self, turn: Turn, request: ApprovalRequested) -> None:
        """Wait for a decision, or take it at once when the operator decided for all."""
        approval = Approval(request)
        turn.wait_for(approval)
        rule = self.by_rule(request)
        if rule is not None:
            self._conclude(turn, approval, rule, f"--approvals {self._speaker.setting.approvals}")
        elif self._nobody_for(turn):
            self._conclude(turn, approval, Decision.UNANSWERED, None, NOBODY_HERE)
        else:
            self._out(StartTimer(self._timer(turn, request.ref.item_id), self._seconds))
            setting, approval.told = self._speaker.setting, True
            self._tell(asked_text(request, setting.agent_name, str(setting.approvers), self._seconds), turn)

    @property
    def _seconds(self) -> float:
        return self._speaker.setting.limits.approval

    # --- Deciding --------------------------------------------------------------------------------

    def waiting(self, turn: Turn) -> list[Approval]:
        """What nobody decided about yet, oldest first. Nothing waits once the turn is being stopped."""
        if turn.interrupt is not None or turn.ending is not None:
            return []
        return [approval for approval in turn.approvals.values() if approval.decided is None]

    def refusal(self, sender: Participant) -> ErrorInfo | None:
        """Why a participant may not decide, if so."""
        setting = self._speaker.setting
        if setting.may_decide(sender):
            return None
        name = sender.name or "You"
        role = "" if sender.role == "user" else f" ({sender.role})"
        return ErrorInfo(f"{name}{role} may not decide here. It is up to {setting.approvers}.", NOT_ALLOWED)

    def decide(
        self,
        turn: Turn,
        item_id: ItemId,
        decision: Decision,
        answers: Answers,
        sender: Participant,
        *,
        typed: bool = False,
    ) -> ErrorInfo | None:
        """What a participant decided; why it does not count, if it does not."""
        if (refusal := self.refusal(sender)) is not None:
            return refusal
        approval = next((a for a in self.waiting(turn) if a.request.ref.item_id == item_id), None)
        if approval is None:
            return self._too_late(turn, item_id)
        if decision not in approval.request.decisions:
            offered = ", ".join(approval.request.decisions)
            return ErrorInfo(f"This cannot be decided so; it takes one of: {offered}.", "invalid_decision")
        if approval.request.questions and decision.accepts:
            checked = _checked(approval.request, answers)
            if checked is None:
                return ErrorInfo("This is a question: answer it with a message.", "invalid_answer")
            approval.answers = checked
        approval.typed = typed
        self._conclude(turn, approval, decision, sender.name or sender.id)
        return None

    def _too_late(self, turn: Turn, item_id: ItemId) -> ErrorInfo:
        waiting = turn.approvals.get(item_id)
        decided = turn.decided.get(item_id) if waiting is None else waiting.decided
        if decided is None:
            return NOTHING_WAITS
        return ErrorInfo(f"That was decided before: {decided.text}.", "decided_before")

    def answer_next(
        self, turn: Turn, approval: Approval, answer: tuple[str, ...], sender: Participant
    ) -> str | None:
        """The answer to the first open question of a request; the text of the next one, if there is one."""
        questions, setting = approval.request.questions, self._speaker.setting
        approval.answers[questions[len(approval.answers)].id] = answer
        position = len(approval.answers)
        if position < len(questions):
            who = str(setting.approvers)
            return question_text(approval.request, position, setting.agent_name, who, self._seconds)
        approval.typed = True
        self._conclude(turn, approval, Decision.ACCEPT, sender.name or sender.id)
        return None

    def expired(self, turn: Turn, item_id: ItemId) -> None:
        """Nobody decided in time."""
        approval = turn.approvals.get(item_id)
        if approval is not None and approval.decided is None:
            why = f"nobody answered in {self._seconds:g} s"
            self._conclude(turn, approval, Decision.UNANSWERED, None, why)

    def unwatched(self, turn: Turn) -> None:
        """Somebody views the thread no more: what nobody is left for is declined."""
        if self._nobody_for(turn):
            for approval in tuple(turn.approvals.values()):
                if approval.decided is None:
                    self._conclude(turn, approval, Decision.UNANSWERED, None, NOBODY_HERE)

    def _nobody_for(self, turn: Turn) -> bool:
        """Whether nobody but one who cannot be asked is there to decide."""
        return not turn.options.attended and not self._speaker.viewers.deciders - {turn.sender}

    def _conclude(
        self, turn: Turn, approval: Approval, decision: Decision, by: str | None, why: str | None = None
    ) -> None:
        """Tell the backend. What is said of it waits until the backend has it."""
        request = approval.request
        answer = _answer_text(approval) if request.questions and decision.accepts else None
        approval.decided = ApprovalDecided(request.ref, decision, by, why, answer)
        answers = dict(approval.answers) if decision.accepts else {}
        item_id = request.ref.item_id
        self._out(StopTimer(self._timer(turn, item_id)))
        self._out(DecideItem(self._speaker.thread_id, turn.id, item_id, decision, answers))

    # --- Ending ----------------------------------------------------------------------------------

    def close(self, turn: Turn, item_id: ItemId) -> Approval | None:
        """The item waits no more; returns it if somebody decided."""
        approval = turn.settle(item_id)
        if approval is None:
            return None
        if approval.decided is None:
            self._out(StopTimer(self._timer(turn, item_id)))
            return None
        turn.decided[item_id] = approval.decided
        return approval

    def _timer(self, turn: Turn, item_id: ItemId) -> Timer:
        return Timer(TimerKind.APPROVAL, self._speaker.thread_id, turn.id, item_id)


def _checked(request: ApprovalRequested, answers: Answers) -> dict[str, tuple[str, ...]] | None:
    """The answers a client's card gave to all questions; None when one cannot be used."""
    read = {q.id: check_answer(q, tuple(answers.get(q.id, ()))) for q in request.questions}
    return (
        {key: answer for key, answer in read.items() if answer is not None}
        if None not in read.values()
        else None
    )


def _answer_text(approval: Approval) -> str:
    """What was answered, for people."""
    parts = [", ".join(approval.answers.get(q.id, ())) or "left out" for q in approval.request.questions]
    return "; ".join(parts)
