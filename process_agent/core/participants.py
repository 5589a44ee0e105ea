"""Members of a room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId

_NAME, _CHANNEL = "name:", "channel:"


@dataclass(frozen=True, slots=True)
class Participant:
    """A member of a room. `role` comes from the token: `user`, `agent` or `tool`.

    `acts_for` says whose threads it may use where its name does not: see `owner`.
    """

    id: ParticipantId
    role: str = "user"
    attributes: Mapping[str, Json] = field(default_factory=dict)
    acts_for: str | None = None

    @property
    def name(self) -> str | None:
        """The authenticated name: the room sets it from the token."""
        name = self.attributes.get("name")
        return name if isinstance(name, str) else None

    @property
    def owner(self) -> str | None:
        """Whose threads it may use where each participant has its own; None for one without a name."""
        return self.acts_for or named(self.name)


def named(name: str | None) -> str | None:
    """The owner that an authenticated name stands for."""
    name = (name or "").strip()
    return f"{_NAME}{name}" if name else None


def of_channel(channel: str, name: str | None = None) -> str:
    """The owner that a channel is whose senders' names nobody vouches for; or one of its senders."""
    return f"{_CHANNEL}{channel}" if name is None else f"{_CHANNEL}{channel} {name}"


def is_channel(owner: str) -> bool:
    """Whether this is a channel, or a sender that only a channel knows."""
    return owner.startswith(_CHANNEL)
