"""Decisions and answers that people type as messages, for clients that draw no cards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from process_agent.core import deciding
from process_agent.core.approval_texts import TYPED, brief, how_to_answer, listed
from process_agent.core.approvals import NOTHING_WAITS
from process_agent.core.commands import Viewer
from process_agent.core.content import TextPart
from process_agent.core.decisions import Decision, read_answer
from process_agent.core.requests import StartThread, StartTurn, SteerTurn
from process_agent.core.slash import CommandName, SlashCommand, parse
from process_agent.core.thread_turns import ThreadTurns
from process_agent.core.threads import Thread, viewer_of
from process_agent.core.turn import Approval

USAGE = {
    CommandName.APPROVE: "This is not understood, and nothing was approved. Send `/approve` or "
    "`/approve session`, with the number of a request or `all` if several wait, like `/approve 2`.",
    CommandName.DENY: "This is not understood, and nothing was declined. Send `/deny`, or `/deny cancel` to "
    "stop the turn too, with the number of a request or `all` if several wait, like `/deny 2`.",
}
NOTHING = "Nothing waits for a decision in this thread."
ELSEWHERE = "Requests wait in several threads. Nothing was decided: send this in the thread that is meant."
IS_QUESTION = "That is a question: answer it with a message, or decline with `/deny`."

_DONE = {
    Decision.ACCEPT: "Approved",
    Decision.ACCEPT_FOR_SESSION: "Approved for the session",
    Decision.DECLINE: "Declined",
    Decision.CANCEL: "Declined, and the turn is being stopped",
}
_WORDS = {
    CommandName.APPROVE: {"session": Decision.ACCEPT_FOR_SESSION, "once": Decision.ACCEPT},
    CommandName.DENY: {"cancel": Decision.CANCEL},
}
_PLAIN = {CommandName.APPROVE: Decision.ACCEPT, CommandName.DENY: Decision.DECLINE}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a command asks for: of one request, of all, or of the only one when `number` is None."""

    decision: Decision
    number: int | None = None
    every: bool = False


def read(command: SlashCommand) -> Wanted | None:
    """The decision in `/approve` or `/deny`; None when there are words in it that mean nothing."""
    how = _WORDS[command.name]
    given: dict[str, str] = {}
    for word in command.argument.lower().split():
        number = word.isascii() and word.isdecimal()
        kind = "how" if word in how else "which" if number or word == "all" else "unknown"
        if kind == "unknown" or kind in given:
            return None
        given[kind] = word
    which = given.get("which")
    return Wanted(
        how.get(given.get("how", ""), _PLAIN[command.name]),
        None if which in (None, "all") else int(str(which)),
        every=which == "all",
    )


def decide(
    turns: ThreadTurns,
    request: StartTurn | StartThread,
    command: SlashCommand,
    threads: Iterable[Thread] = (),
) -> str:
    """Do what `/approve` or `/deny` says; returns what to answer. As the first message of a new thread it is
    meant for another one of `threads`.
    """
    wanted, sender = read(command), request.envelope.sender
    if wanted is None:
        return USAGE[command.name]
    if isinstance(request, StartThread):
        meant = _waiting_for(viewer_of(request.envelope), threads)
        if len(meant) > 1:
            return ELSEWHERE
        turns = meant[0] if meant else turns
    if (refusal := turns.output.approvals.refusal(sender)) is not None:
        return refusal.message
    waiting = deciding.waiting(turns)
    chosen = _chosen(wanted, waiting)
    if isinstance(chosen, str):
        return chosen
    said = []
    for approval in chosen:
        item_id = approval.request.ref.item_id
        error = deciding.decide_typed(turns, item_id, wanted.decision, request.envelope)
        subject = brief(approval.request)
        said.append(
            f"{_DONE[wanted.decision]}: {subject}." if error is None else f"{error.message} ({subject})"
        )
    return "\n\n".join(said)


def _waiting_for(viewer: Viewer, threads: Iterable[Thread]) -> list[ThreadTurns]:
    """Threads in which something waits, of those that somebody views or asked for what runs."""
    return [
        thread.turns
        for thread in threads
        if thread.turns is not None
        and (turn := thread.turns.active) is not None
        and (turn.sender == viewer or viewer in thread.speaker.viewers)
        and deciding.waiting(thread.turns)
    ]


def _chosen(wanted: Wanted, waiting: Sequence[Approval]) -> Sequence[Approval] | str:
    """The requests a command means, or why it means none."""
    if not waiting:
        return NOTHING
    fitting = [a for a in waiting if wanted.decision in a.request.decisions and not _unanswered(wanted, a)]
    if wanted.number is not None:
        named = [a for a in waiting if a.request.number == wanted.number]
        if not named:
            return f"No request {wanted.number} waits. These do:\n\n{_list(waiting)}"
        return named if named[0] in fitting else _not_so(wanted, named[0])
    if not fitting:
        return _not_so(wanted, waiting[0])
    if wanted.every or len(fitting) == 1:
        return fitting
    return f"Several requests wait. Say which one with its number, or `all`:\n\n{_list(fitting)}"


def _unanswered(wanted: Wanted, approval: Approval) -> bool:
    return wanted.decision.accepts and bool(approval.request.questions)


def _not_so(wanted: Wanted, approval: Approval) -> str:
    if _unanswered(wanted, approval):
        return IS_QUESTION
    offered = ", ".join(TYPED[decision] for decision in approval.request.decisions if decision in TYPED)
    return f"Request {approval.request.number} cannot be decided so; it takes {offered}."


def _list(waiting: Sequence[Approval]) -> str:
    return listed(approval.request for approval in waiting)


# --- Answers to questions ------------------------------------------------------------------------


def counts(turns: ThreadTurns | None, request: SteerTurn) -> bool:
    """Whether a message for a running turn is none for its model: a command, or the answer to a question."""
    answered = turns is not None and question_for(turns, request) is not None
    return answered or parse(request.content) is not None


def question_for(turns: ThreadTurns, request: StartTurn | SteerTurn) -> Approval | None:
    """The oldest question that waits in a thread, when a request is a plain message that may answer it."""
    parts = request.content
    if len(parts) != 1 or not isinstance(parts[0], TextPart) or parse(parts) is not None:
        return None
    if turns.output.approvals.refusal(request.envelope.sender) is not None:
        return None
    running = turns.running
    if isinstance(request, SteerTurn) and (running is None or running.id != request.turn_id):
        return None
    return next((approval for approval in deciding.waiting(turns) if approval.request.questions), None)


def answers(turns: ThreadTurns, request: StartTurn) -> bool:
    """Take a message as the answer to the question that waits, in a turn of its own; False if it is none."""
    asked = question_for(turns, request)
    if asked is None:
        return False
    viewer = viewer_of(request.envelope)
    turns.asides.answer(request, viewer, lambda: _answer(turns, asked, request), notice=True)
    return True


def _answer(turns: ThreadTurns, approval: Approval, request: StartTurn) -> str:
    turn = turns.active
    if turn is None or approval.decided is not None:
        return NOTHING_WAITS.message
    question = approval.request.questions[len(approval.answers)]
    part = request.content[0]
    given = read_answer(question, part.text if isinstance(part, TextPart) else "")
    if given is None:
        return (
            f"That does not answer the question, and the agent did not get it.\n\n{how_to_answer(question)}"
        )
    following = turns.output.approvals.answer_next(turn, approval, given, request.envelope.sender)
    turns.output.refresh(turn)
    return following or "Passed on to the agent."
