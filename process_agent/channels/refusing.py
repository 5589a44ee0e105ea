"""What is said to a participant whose message cannot be taken, where the protocol has words for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from process_agent.core.content import ErrorInfo, Json
from process_agent.core.events import SteerRejected, TurnRejected
from process_agent.core.ids import MessageId, ParticipantId, ThreadId
from process_agent.core.replies import Reply, RequestRejected, ThreadLoaded, ThreadStartRejected
from process_agent.wire.agent_messages import PREFIX, limits

MAX_RECORDINGS = 10_000
"""Recordings whose refusal is remembered, over all participants."""

_AUDIO = "realtime_audio."
_UNANSWERED = frozenset({"thread.close", "thread.watch", "thread.unwatch", "opened"})

type Refusal = TurnRejected | SteerRejected | Reply


def refusals(body: Mapping[str, Json], error: ErrorInfo) -> list[Refusal]:
    """The answers to a message: none without an id to name it by, or when nobody waits for one."""
    source, kind = text_of(body, "message_id"), kind_of(body)
    if not kind or not source or len(source) > limits.MAX_ID:
        return []
    asked = MessageId(source)
    thread_id = ThreadId(text_of(body, "thread_id")[: limits.MAX_ID])
    match kind:
        case "thread.start":
            return [ThreadStartRejected(asked, error), TurnRejected(asked, error)]
        case "turn.start" | "realtime_audio.chunk" | "realtime_audio.commit":
            return [TurnRejected(asked, error)]
        case "turn.steer":
            return [SteerRejected(asked, error)]
        case "thread.open" if body.get("load") is True:
            # Clients refuse to send until they hear that loading is over.
            return [RequestRejected(asked, thread_id, error), ThreadLoaded(asked, thread_id)]
        case _:
            return [] if kind in _UNANSWERED else [RequestRejected(asked, thread_id, error)]


def kind_of(body: Mapping[str, Json]) -> str:
    """The type of a message without its prefix."""
    return text_of(body, "type").removeprefix(PREFIX)


def text_of(body: Mapping[str, Json], name: str) -> str:
    """A field that should be text; empty when it is not."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


class Recordings:
    """Sound comes in many pieces; each recording is refused once, whether it is committed or not."""

    def __init__(self) -> None:
        self._refused: dict[tuple[ParticipantId, str], None] = {}

    def refused_before(self, body: Mapping[str, Json], sender: ParticipantId) -> bool:
        """Whether this message belongs to a recording that was refused."""
        kind = kind_of(body)
        if not kind.startswith(_AUDIO):
            return False
        key = (sender, text_of(body, "thread_id"))
        known = key in self._refused
        if kind.endswith("commit"):
            self._refused.pop(key, None)
        elif not known:
            while len(self._refused) >= MAX_RECORDINGS:
                del self._refused[next(iter(self._refused))]
            self._refused[key] = None
        return known

    def forget(self, sender: ParticipantId) -> None:
        """The participant left."""
        for key in [key for key in self._refused if key[0] == sender]:
            del self._refused[key]
