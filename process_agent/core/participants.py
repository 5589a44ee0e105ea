"""Members of a room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId


@dataclass(frozen=True, slots=True)
class Participant:
    """A member of a room. `role` comes from the token: `user`, `agent` or `tool`."""

    id: ParticipantId
    role: str = "user"
    attributes: Mapping[str, Json] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """The authenticated name: the room sets it from the token."""
        name = self.attributes.get("name")
        return name if isinstance(name, str) else None
