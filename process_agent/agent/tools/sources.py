"""Which tools an agent has, by what the command line says and the room has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from process_agent.agent.tools.attach import Attaching, Workplace, workplace
from process_agent.agent.tools.conversation import search_toolkit
from process_agent.agent.tools.discovery import ToolSearch
from process_agent.agent.tools.given import ToolRoom
from process_agent.agent.tools.mail import NAME as MAIL
from process_agent.agent.tools.mail import MailTools
from process_agent.agent.tools.mcp import McpTools
from process_agent.agent.tools.remote import CALL_SECONDS, RoomTools
from process_agent.agent.tools.required import RequiredToolkits
from process_agent.agent.tools.shell.source import Shell
from process_agent.agent.tools.skills import skills_toolkit
from process_agent.agent.tools.storage import StorageTools
from process_agent.agent.tools.thread_list import ThreadListTools
from process_agent.agent.tools.tool import FixedTools, Tool, Toolkit, ToolSource
from process_agent.agent.tools.web import WebTools, check_installed
from process_agent.channels.specs import ChannelSpec, ChatSpec, MailSpec, MemorySpec
from process_agent.core.backend import BackendConfig
from process_agent.core.mcp import McpMode
from process_agent.core.mcp_config import McpLaunch
from process_agent.core.room_ports import RemoteToolkit
from process_agent.errors import UsageError
from process_agent.io.private_places import private_places
from process_agent.io.skills import find_skills

if TYPE_CHECKING:
    from process_agent.channels.mail.first_mails import FirstMails

type SearchMode = Literal["none", "agent", "room"]
type StorageMode = Literal["none", "read", "write"]

CHAT, SEARCH = "chat", "search"
BUILT_IN = (CHAT, MAIL, SEARCH)
"""Toolkits of the agent's own that `--require-toolkit` names."""

_CHAT_ABOUT = "The conversation you are in, and the people in it."


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """What the flags say about tools. `required` are the toolkits that the operator named."""

    required: tuple[str, ...] = ()
    search: SearchMode = "none"
    storage: StorageMode = "none"
    ask_always: bool = False
    seconds: float = CALL_SECONDS
    mcp: McpMode = "none"
    web_fetch: bool = False
    servers: tuple[McpLaunch, ...] = ()
    """MCP servers of the operator's, for models that connect to none themselves."""
    shell: bool = False
    advanced_shell: bool = False

    @property
    def shell_flags(self) -> tuple[str, ...]:
        """The flags that have an effect only where a backend runs no commands by itself."""
        named = (("--shell", self.shell), ("--advanced-shell", self.advanced_shell))
        return tuple(flag for flag, given in named if given)

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that have an effect only where a backend takes tools."""
        found = [f"--require-toolkit {name}" for name in self.required]
        found += ["--storage"] if self.storage == "write" else []
        found += ["--web-fetch"] if self.web_fetch else []
        found += ["--read-only-storage"] if self.storage == "read" else []
        return (*found, f"--tool-search {self.search}") if self.search != "none" else tuple(found)

    @property
    def of_the_room(self) -> tuple[str, ...]:
        """Required toolkits that somebody in the room hosts."""
        return tuple(name for name in self.required if name not in BUILT_IN)


def tool_sources(
    options: ToolOptions,
    room: ToolRoom,
    backend: BackendConfig,
    channels: Sequence[ChannelSpec],
    *,
    apart: bool = False,
    mails: FirstMails | None = None,
    shell: Shell | None = None,
) -> list[ToolSource]:
    """The sources of an agent's tools. Where threads are kept `apart`, each belongs to one participant;
    `mails` sends what the model writes, `shell` runs its commands. Raises `UsageError` for what the room or
    the agent has not.
    """
    check_tools(options, channels)
    kept = private_places(backend.environment, backend.data_dir, *([backend.home] if backend.home else ()))
    place = workplace(backend.working_dir, kept)
    chat: list[Tool] = []
    if room.files is not None and any(isinstance(channel, ChatSpec | MemorySpec) for channel in channels):
        chat.append(Attaching(room.files, place, backend.agent_name).tool())
    if CHAT in options.required:
        chat += _thread_list(room, apart=apart)
    own = [Toolkit(CHAT, _CHAT_ABOUT, tuple(chat), "Chat")]
    if SEARCH in options.required:
        own.append(search_toolkit())
    if MAIL in options.required and mails is not None:
        own.append(MailTools(mails, place, joined=not apart).toolkit())
    if options.web_fetch:
        own.append(WebTools(room.shelf, options.ask_always).toolkit())
    if options.storage != "none":
        own.append(_storage(options, room, place))
    if backend.skill_dirs:
        own.append(skills_toolkit(find_skills(backend.skill_dirs)))
    local = () if shell is None else (shell,)
    return [*local, FixedTools(tuple(own)), *_of_the_room(options, room)]


def mcp_tools(options: ToolOptions, room: ToolRoom, backend: BackendConfig) -> McpTools | None:
    """The MCP servers for models that connect to none themselves; None when there can be none."""
    if options.mcp == "none" and not options.servers:
        return None
    return McpTools(room, backend.working_dir, options.servers, options.seconds, options.ask_always)


def check_tools(options: ToolOptions, channels: Sequence[ChannelSpec]) -> None:
    """Raise `UsageError` for what is known to be wrong with tools before any room is joined."""
    if options.web_fetch:
        check_installed()
    if MAIL in options.required and not any(isinstance(channel, MailSpec) for channel in channels):
        raise UsageError(
            "--require-toolkit mail needs a channel that mails go out by and replies come in by.",
            fix="Add --channel mail:ADDRESS.",
        )


def _thread_list(room: ToolRoom, *, apart: bool) -> tuple[Tool, ...]:
    if apart:
        raise UsageError(
            "--require-toolkit chat would show every participant the names of the others' threads, which "
            "--thread-isolation participant keeps apart."
        )
    return () if room.store is None else ThreadListTools(room.store).tools()


def _storage(options: ToolOptions, room: ToolRoom, place: Workplace) -> Toolkit:
    if room.files is None:
        raise UsageError(f"{options.flags[-1]} needs a room that keeps files.")
    read_only, ask = options.storage == "read", options.ask_always
    return StorageTools(room.files, place, room.shelf, read_only=read_only, ask_always=ask).toolkit()


def _of_the_room(options: ToolOptions, room: ToolRoom) -> list[ToolSource]:
    if not options.of_the_room and options.search == "none":
        return []
    if room.toolkits is None:
        raise UsageError(f"{options.flags[0]} needs a room: there is none to look in.")
    tools = RoomTools(room, room.toolkits, options.ask_always, options.seconds)
    required = RequiredToolkits(tools, options.of_the_room)
    if options.search == "agent":
        return [_Unlisted(required), ToolSearch(tools, required.toolkits, required.kits)]
    if options.search == "none":
        return [required]

    def others() -> list[RemoteToolkit]:
        return [kit for kit in tools.others() if kit.name not in options.required]

    return [required, ToolSearch(tools, tools.look, others)]


@dataclass(frozen=True, slots=True)
class _Unlisted:
    """Required toolkits that are found by search instead of being listed."""

    required: RequiredToolkits

    async def start(self) -> None:
        """See `ToolSource`."""
        await self.required.start()

    async def toolkits(self) -> Sequence[Toolkit]:
        """See `ToolSource`."""
        return ()
