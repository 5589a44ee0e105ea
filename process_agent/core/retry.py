"""What `/retry` sends again: the last message of the thread that was for a model. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from process_agent.core import events as e
from process_agent.core import slash
from process_agent.core.commands import Command, FindLastMessage, Viewer
from process_agent.core.content import ContentPart, ErrorInfo
from process_agent.core.ids import TurnId
from process_agent.core.isolation import not_there
from process_agent.core.models import ModelChoice
from process_agent.core.refusals import Refusals
from process_agent.core.requests import ModelWish, StartTurn, TurnOptions
from process_agent.core.slash import SlashCommand, parse
from process_agent.core.speaker import Setting
from process_agent.core.thread_turns import ThreadTurns
from process_agent.core.threads import Thread, viewer_of
from process_agent.core.turn import Turn


@dataclass(frozen=True, slots=True)
class LastMessage:
    """The content of a turn with what it was steered with, and what it was asked with beside that; of a turn
    that is only known from the log, nothing more than the content.
    """

    turn_id: TurnId
    content: tuple[ContentPart, ...]
    options: TurnOptions = field(default_factory=TurnOptions)
    sender: Viewer | None = None


def of_turn(turn: Turn) -> LastMessage:
    """From a turn of this process."""
    return LastMessage(turn.id, (*turn.content, *turn.added), turn.options, turn.sender)


def of_log(events: Iterable[e.ThreadEvent]) -> LastMessage | None:
    """From stored events, oldest first."""
    content: tuple[ContentPart, ...] = ()
    last: TurnId | None = None
    for event in events:
        match event.body:
            case e.TurnAccepted(_, said) if said and parse(said) is None:
                content, last = said, event.turn_id
            case e.Steered(_, said) if last is not None and event.turn_id == last:
                content = (*content, *said)
            case _:
                pass
    return LastMessage(last, content) if content and last is not None else None


class Retries:
    """Carries out `/retry`; `start` has a request become a turn."""

    def __init__(
        self,
        setting: Setting,
        do: Callable[[Command], None],
        start: Callable[[Thread, ThreadTurns, StartTurn], None],
        refusals: Refusals,
    ) -> None:
        self._setting = setting
        self._do = do
        self._start = start
        self._refusals = refusals

    def begin(self, thread: Thread, turns: ThreadTurns, request: StartTurn, command: SlashCommand) -> None:
        """Somebody asks for it. What was said before this process has to be looked for."""
        last = None if turns.last is None else of_turn(turns.last)
        outcome = self._decide(turns, request, command, last)
        if outcome is None:
            self._do(FindLastMessage(request.thread_id, request))
        else:
            self._act(thread, turns, request, outcome)

    def found(self, thread: Thread | None, request: StartTurn, last: LastMessage | ErrorInfo | None) -> None:
        """What the log says, or why it cannot be read; the thread may be gone by now."""
        command = parse(request.content)
        if isinstance(last, ErrorInfo):
            self._refusals.refuse(request, last)
        elif thread is None or thread.turns is None or command is None:
            self._refusals.refuse(request, not_there(request.thread_id))
        else:
            outcome = self._decide(thread.turns, request, command, last)
            self._act(thread, thread.turns, request, outcome or slash.NOTHING_TO_RETRY)

    def _decide(
        self, turns: ThreadTurns, request: StartTurn, command: SlashCommand, last: LastMessage | None
    ) -> StartTurn | str | None:
        """The request in place of the command, or why there is none; None when nothing is known to send."""
        if not turns.at_rest:
            return slash.NO_RETRY
        model = None
        if command.argument:
            choice = self._setting.catalogue.resolve(ModelWish(model=command.argument), turns.model)
            if isinstance(choice, ErrorInfo):
                return choice.message
            model = choice
        return None if last is None else _again(request, last, model)

    def _act(self, thread: Thread, turns: ThreadTurns, request: StartTurn, outcome: StartTurn | str) -> None:
        if isinstance(outcome, StartTurn):
            self._start(thread, turns, outcome)
        else:
            turns.asides.answer(request, viewer_of(request.envelope), lambda: outcome)


def _again(request: StartTurn, last: LastMessage, model: ModelChoice | None) -> StartTurn:
    """The request that sends a message again, for whoever asked. Tools of a client are used again when it is
    the same client; that nobody could be asked before does not mean that nobody can now.
    """
    tools = last.options.client_tools if last.sender == viewer_of(request.envelope) else ()
    now = request.options
    options = replace(last.options, client_tools=tools, attended=now.attended, can_answer=now.can_answer)
    wish = request.wish if model is None else ModelWish(model.backend, model.provider, model.model)
    return replace(request, content=last.content, options=options, wish=wish, replaces=last.turn_id)
