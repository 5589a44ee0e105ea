"""Which tools an agent has, by what the command line says and the room has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from process_agent.agent.tools.attach import Attaching, workplace
from process_agent.agent.tools.tool import FixedTools, Tool, Toolkit, ToolSource
from process_agent.channels.specs import ChannelSpec, ChatSpec, MemorySpec
from process_agent.core.backend import BackendConfig
from process_agent.core.room_ports import RoomFiles, Toolkits

_CHAT = "The conversation you are in."


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """What the flags say about tools."""


@dataclass(frozen=True, slots=True)
class ToolRoom:
    """What tools use of the room; None where it has no such thing."""

    files: RoomFiles | None = None
    toolkits: Toolkits | None = None


def tool_sources(
    options: ToolOptions, room: ToolRoom, backend: BackendConfig, channels: Sequence[ChannelSpec]
) -> list[ToolSource]:
    """The sources of an agent's tools."""
    chat: list[Tool] = []
    talks = any(isinstance(channel, ChatSpec | MemorySpec) for channel in channels)
    if talks and room.files is not None:
        place = workplace(backend.working_dir, _private(backend))
        chat.append(Attaching(room.files, place, backend.agent_name).tool())
    return [FixedTools((Toolkit("chat", _CHAT, tuple(chat), "Chat"),))] if chat else []


def _private(backend: BackendConfig) -> list[Path]:
    """Folders whose files are kept from commands, wherever the working folder is."""
    home = Path(backend.environment.get("HOME") or Path.home())
    chosen = backend.environment.get("CODEX_HOME")
    found = [backend.data_dir, home / ".meshagent", home / ".codex"]
    return [*found, Path(chosen).expanduser()] if chosen else found
