"""Who may decide about approvals and answer questions. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from process_agent.core.participants import Participant

NEVER = frozenset({"agent", "tool"})
"""Roles that never decide, named or not: an agent asks a model, and whoever writes to a model could then
approve its own commands; a tool stands for a mail, a queue or a program, which anybody may be behind.
"""

PEOPLE = "user"
"""The role of people's tokens."""

ROLE = "role:"
"""Before a role other than `user`."""


@dataclass(frozen=True, slots=True)
class Approvers:
    """Names and roles as `--approver` takes them: `user` and `role:NAME` are roles, everything else is the
    name of a participant. Both come from the room, which has them from the participant's token.
    """

    named: tuple[str, ...] = (PEOPLE,)

    @classmethod
    def of(cls, named: Iterable[str]) -> Approvers | None:
        """Those that a request names; None where it names nobody, and one can only try."""
        entries = tuple(named)
        return cls(entries) if entries else None

    def allow(self, participant: Participant) -> bool:
        """Whether a participant may decide."""
        if participant.role in NEVER:
            return False
        return participant.role in self.roles or participant.name in self.names

    @property
    def roles(self) -> frozenset[str]:
        """Roles that may decide."""
        return frozenset(
            entry.removeprefix(ROLE) for entry in self.named if entry == PEOPLE or entry.startswith(ROLE)
        )

    @property
    def names(self) -> frozenset[str]:
        """Participants that may decide."""
        return frozenset(entry for entry in self.named if entry != PEOPLE and not entry.startswith(ROLE))

    def __str__(self) -> str:
        """Who may decide, as people read it."""
        roles = [
            "every participant with the role user" if role == PEOPLE else f"participants with the role {role}"
            for role in sorted(self.roles)
        ]
        named = [*sorted(self.names), *roles]
        return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
