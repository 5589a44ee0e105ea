"""Which threads of a room a sub-command is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from process_agent.cli.threads import Options, entries_of, folders_of, place_of, thread_named
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.config import DataPaths
    from process_agent.core.ids import ThreadId
    from process_agent.core.room import TableRef
    from process_agent.core.store import ThreadEntry
    from process_agent.rooms.join import JoinedRoom


@dataclass(frozen=True, slots=True)
class Place:
    """A thread with the agent it belongs to, as far as that is known, and the folder it lies in."""

    entry: ThreadEntry
    agent: str
    directory: str

    @property
    def ref(self) -> TableRef:
        """Its table."""
        from process_agent.threads.paths import namespace_of, table_of

        return table_of(self.entry.path, namespace_of(self.directory))


async def places(
    room: JoinedRoom, options: Options, paths: DataPaths, threads: list[str] | None
) -> list[Place]:
    """The threads that are named, or all, the latest changed first. Raises `UsageError`."""
    folders = folders_of(room, options, paths) if not threads or any("://" not in t for t in threads) else {}
    listed = await entries_of(room, folders) if folders else []
    if not threads:
        return [place for entry in listed if (place := _place(entry, folders)) is not None]
    found: dict[ThreadId, Place] = {}
    for ref in threads:
        thread_id = await thread_named(room, folders, ref)
        entry = next((e for e in listed if e.path == thread_id), None) or await _entry(room, thread_id)
        place = _place(entry, folders)
        if place is None:
            raise UsageError(
                f"{thread_id} is not kept in the room.", fix="`process threads` lists those that are."
            )
        found[entry.path] = place
    return list(found.values())


async def to_rewrite(
    room: JoinedRoom, options: Options, paths: DataPaths, threads: list[str], *, dry_run: bool
) -> list[Place]:
    """The threads that are named, to write their tables anew; with `dry_run` nothing will be written. Raises
    `UsageError`, and `RoomError` where an agent may write in one meanwhile.
    """
    from process_agent.cli.thread_tools.following import agent_of
    from process_agent.errors import RoomError

    found = await places(room, options, paths, threads)
    folders = folders_of(room, options, paths)
    for place in found:
        agent = agent_of(room, folders, place.entry.path)
        if agent is not None and not dry_run:
            raise RoomError(
                f"{agent} is in the room and may write in {place.entry.path}.",
                fix="Stop it first, or look with --dry-run.",
            )
    return found


def _place(entry: ThreadEntry, folders: dict[str, str]) -> Place | None:
    if not entry.path.startswith("dataset://"):
        return None
    for agent, directory in folders.items():
        if entry.path.startswith(f"{directory.rstrip('/')}/"):
            return Place(entry, agent, directory)
    agent, directory = place_of(entry.path)
    return Place(entry, agent, directory) if directory else None


async def _entry(room: JoinedRoom, thread_id: ThreadId) -> ThreadEntry:
    """The list's entry of a thread that is named by its path; without one, what can be said of it."""
    from datetime import UTC, datetime

    from process_agent.core.store import ThreadEntry
    from process_agent.errors import RoomRequestError
    from process_agent.threads.index import UNNAMED, ThreadIndex
    from process_agent.threads.paths import NOT_FOUND, SCHEME, namespace_of

    now = datetime.now(UTC)
    if thread_id.startswith(SCHEME):
        _, directory = place_of(thread_id)
        try:
            listed = await ThreadIndex(room.datasets, namespace_of(directory), lambda: now).get(thread_id)
        except RoomRequestError as error:
            if error.code != NOT_FOUND:
                raise
        else:
            if listed is not None:
                return listed
    return ThreadEntry(thread_id, UNNAMED, now, now)
