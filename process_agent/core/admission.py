"""Which requests become turns of a thread, and what viewers hear of a turn until it runs."""

from __future__ import annotations

from collections import deque

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import MessageId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.requests import StartThread, StartTurn
from process_agent.core.speaker import Speaker
from process_agent.core.turn import Turn

REMEMBERED = 256
"""Answered requests a thread remembers, to tell those that come again."""


class Admission:
    """Makes the turns of one thread, each request once."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._sources: deque[MessageId] = deque(maxlen=REMEMBERED)
        self._intro: dict[TurnId, list[e.ThreadEvent]] = {}

    def repeated(self, source: MessageId, what: str) -> bool:
        """Whether this request came before; that is warned about."""
        if source not in self._sources:
            return False
        self._speaker.out(c.Warn(f"{what} {source} came twice"))
        return True

    def note(self, source: MessageId) -> None:
        """This request was taken up."""
        self._sources.append(source)

    def allows(self, request: StartTurn | StartThread, viewer: c.Viewer, ahead: int) -> bool:
        """Whether a turn can be made: not when it came before, or too many are ahead of it."""
        source, limit = request.envelope.message_id, self._speaker.setting.limits.queued
        if self.repeated(source, "turn request"):
            return False
        if ahead >= limit:
            text = f"{limit} turns wait in this thread already. Try again when some are done."
            self._speaker.tell(e.TurnRejected(source, ErrorInfo(text, "too_many_turns")), viewer)
            return False
        return True

    def admit(self, request: StartTurn | StartThread, viewer: c.Viewer, model: ModelChoice | None) -> Turn:
        """A new turn, announced. Its sender is there if it views the thread: asking for a turn made it."""
        source, name = request.envelope.message_id, request.envelope.sender.name
        self.note(source)
        turn = Turn(TurnId(self._speaker.setting.new_id()), source, viewer, name, request.content, model)
        turn.options, turn.present = request.options, viewer in self._speaker.viewers
        asked = (None, None, None) if model is None else (model.backend, model.provider, model.model)
        said = e.TurnRequested(turn.content, name, *asked)
        requested = self._speaker.make(said, turn, message_id=source)
        self._speaker.relay(requested, viewer, store=True)
        accepted = self._speaker.say(e.TurnAccepted(source, turn.content, name), turn)
        self._intro[turn.id] = [requested, accepted]
        return turn

    def started(self, turn: Turn) -> None:
        """The turn runs now."""
        started = self._speaker.say(e.TurnStarted(turn.source, turn.content, turn.sender_name), turn)
        self._intro[turn.id].append(started)

    def ended(self, turn: Turn) -> None:
        """The turn is over."""
        self._intro.pop(turn.id, None)

    def introduce(self, turn: Turn) -> list[e.ThreadEvent]:
        """How the turn came about, for one who did not see it."""
        return list(self._intro.get(turn.id, ()))
