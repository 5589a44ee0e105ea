"""Which requests came before: a message that is delivered twice must not run twice. Pure."""

from __future__ import annotations

from process_agent.core.ids import MessageId
from process_agent.core.requests import Request, StartThread, StartTurn, SteerTurn
from process_agent.errors import WireError

MAX_REMEMBERED = 2_000
"""Requests of one channel; the oldest are forgotten first."""


class Repeats:
    """The ids of turns, steers and new threads, and who asked for them."""

    def __init__(self) -> None:
        self._askers: dict[MessageId, str] = {}

    def repeated(self, request: Request) -> bool:
        """Note a request; True when it came before from the same participant.

        A participant that comes back has another id and the same name. Raises `WireError` when the message
        id is that of somebody else's request.
        """
        if not isinstance(request, StartThread | StartTurn | SteerTurn):
            return False
        message_id, sender = request.envelope.message_id, request.envelope.sender
        asker = self._askers.get(message_id)
        if asker is None:
            if len(self._askers) >= MAX_REMEMBERED:
                del self._askers[next(iter(self._askers))]
            self._askers[message_id] = sender.name or sender.id
            return False
        if asker != (sender.name or sender.id):
            raise WireError("the message id is that of another message", refusal="duplicate_message_id")
        return True

    def forget(self, message_id: MessageId) -> None:
        """The request was refused; it may be tried again."""
        self._askers.pop(message_id, None)
