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
from process_agent.core.turn_queue import size_of

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

    def allows(
        self, request: StartTurn | StartThread, viewer: c.Viewer, ahead: int, waiting: int = 0
    ) -> bool:
        """Whether a turn can be made: not when it came before, or too much is ahead of it: turns, and
        characters of those that wait.
        """
        source = request.envelope.message_id
        if self.repeated(source, "turn request"):
            return False
        refusal = self._refusal(size_of(request.content), ahead, waiting)
        if refusal is not None:
            self._speaker.tell(e.TurnRejected(source, refusal), viewer)
        return refusal is None

    def _refusal(self, size: int, ahead: int, waiting: int) -> ErrorInfo | None:
        setting = self._speaker.setting
        limits = setting.limits
        if size > limits.queued_size:
            return ErrorInfo(f"A message may have {limits.queued_size:,} characters.", "too_large")
        if ahead >= limits.queued:
            text = f"{limits.queued} turns wait in this thread already. Try again when some are done."
            return ErrorInfo(text, "too_many_turns")
        if size + waiting > limits.queued_size or size + setting.waiting.size > limits.waiting_size:
            return ErrorInfo(
                "Too much text waits already. Try again when some turns are done.", "too_many_turns"
            )
        return None

    def admit(self, request: StartTurn | StartThread, viewer: c.Viewer, model: ModelChoice | None) -> Turn:
        """A new turn, announced. Its sender is there if it views the thread: asking for a turn made it."""
        source, name = request.envelope.message_id, request.envelope.sender.name
        self.note(source)
        turn = Turn(TurnId(self._speaker.setting.new_id()), source, viewer, name, request.content, model)
        turn.replaces = request.replaces if isinstance(request, StartTurn) else None
        turn.options, turn.present = request.options, viewer in self._speaker.viewers
        client = request.envelope.sender.attributes.get("client")
        turn.client = client if isinstance(client, str) else None
        asked = (None, None, None) if model is None else (model.backend, model.provider, model.model)
        said = e.TurnRequested(turn.content, name, *asked)
        requested = self._speaker.make(said, turn, message_id=source)
        self._speaker.relay(requested, viewer, store=True)
        accepted = self._speaker.say(e.TurnAccepted(source, turn.content, name), turn)
        self._intro[turn.id] = [requested, accepted]
        return turn

    def started(self, turn: Turn) -> None:
        """The turn runs now."""
        body = e.TurnStarted(turn.source, turn.content, turn.sender_name, turn.replaces)
        started = self._speaker.say(body, turn)
        self._intro[turn.id].append(started)

    def ended(self, turn: Turn) -> None:
        """The turn is over."""
        self._intro.pop(turn.id, None)

    def introduce(self, turn: Turn) -> list[e.ThreadEvent]:
        """How the turn came about, for one who did not see it."""
        return list(self._intro.get(turn.id, ()))
