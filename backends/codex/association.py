"""Which Codex thread remembers a thread of the room: what is kept with the room's thread. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import Any, Final

from backends.codex.mcp_servers import servers_key
from process_agent.core.backend import KeptState
from process_agent.core.content import Json
from process_agent.core.ids import ThreadId, TurnId

_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOME: Final = re.compile(r"/[^\x00-\x1f\x7f]{0,4000}")


@dataclass(frozen=True, slots=True)
class Association:
    """`thread` is Codex's id, in the Codex home `home`. `room` is the thread of the room it was made for:
    another one where the room's thread is a copy.

    `fixed` stands for what is fixed when a Codex thread is made (`fixed_key`). Codex had been told everything
    from before the turn `turn` when this was kept; while `telling` is set it is being told something, and
    nobody knows whether it has heard it.
    """

    thread: str
    home: str
    room: ThreadId
    fixed: str
    turn: TurnId
    telling: bool = False

    def state(self) -> KeptState:
        """As it is kept."""
        kept: dict[str, Json] = {
            "thread": self.thread,
            "home": self.home,
            "room": self.room,
            "fixed": self.fixed,
            "turn": self.turn,
        }
        return {**kept, "telling": True} if self.telling else kept

    def at(self, turn: TurnId, *, telling: bool = False) -> Association:
        """The same at the beginning of another turn."""
        return replace(self, turn=turn, telling=telling)


def read_association(state: KeptState | None) -> Association | None:
    """What was kept, or None when it is none of ours: rows of a room may be written by others."""
    if state is None:
        return None
    names = ("thread", "home", "room", "fixed", "turn")
    thread, home, room, fixed, turn = (state.get(name) for name in names)
    if not isinstance(thread, str) or not _ID.fullmatch(thread):
        return None
    if not isinstance(home, str) or not _HOME.fullmatch(home):
        return None
    if not isinstance(room, str) or not isinstance(fixed, str) or not isinstance(turn, str):
        return None
    telling = state.get("telling") is not None
    return Association(thread, home, ThreadId(room), fixed, TurnId(turn), telling)


def fixed_key(provider: str, settings: Mapping[str, Any]) -> str:
    """Stands for what cannot be changed in a Codex thread that exists: instructions and tools are stored when
    it is made, and what reasoning a provider encrypted no other can read.
    """
    fixed = [
        settings.get("modelProvider") or provider,
        settings.get("developerInstructions"),
        settings.get("dynamicTools"),
    ]
    servers = servers_key(settings.get("config") or {})
    fixed += [] if servers is None else [servers]
    return sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16]


def resume_command(association: Association, environment: Mapping[str, str]) -> str:
    """The shell command that opens it in Codex's own terminal program."""
    home = environment.get("CODEX_HOME") or str(Path(environment.get("HOME") or Path.home()) / ".codex")
    command = f"codex resume {association.thread}"
    same = Path(home).expanduser().absolute() == Path(association.home)
    return command if same else f"CODEX_HOME={quote(association.home)} {command}"
