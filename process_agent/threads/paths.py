"""Names of threads and their tables (agent protocol, section 6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

from process_agent.core.discovery import THREAD_DIR
from process_agent.core.ids import ThreadId
from process_agent.core.participants import Participant
from process_agent.core.room import TableRef
from process_agent.errors import RoomRequestError, UsageError
from process_agent.threads.schema import INDEX_TABLE, LEASES_TABLE, OWNERS_TABLE

SCHEME = "dataset://"
MAX_FOLDERS = 8
"""Folders between the agent's thread folder and a thread that somebody gave a path."""

NOT_FOUND = 1003
"""The room's error number for what is not there."""

RESERVED = frozenset((INDEX_TABLE, LEASES_TABLE, OWNERS_TABLE, "emails", "emails_open"))
"""Tables beside the threads that are none: the list of threads, their owners, the leases of agents, and the
mail channel's two.
"""

_TABLE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


def directory_of(agent_name: str) -> str:
    """The folder where an agent keeps its threads when nobody names another."""
    return f"{SCHEME}agents/{agent_name}/threads"


def directory_told(agent: Participant) -> str:
    """The folder of the threads of an agent in the room, as it says itself: the published one with a doubled
    scheme (agent protocol, section 2.1).
    """
    said = agent.attributes.get(THREAD_DIR)
    if not isinstance(said, str) or not said:
        return directory_of(agent.name or "")
    while said.startswith(SCHEME * 2):
        said = said.removeprefix(SCHEME)
    return said


def namespaces_told(participants: Iterable[Participant]) -> list[tuple[str, ...]]:
    """The folders of all agents among them; what is no folder is passed over."""
    found: list[tuple[str, ...]] = []
    for each in participants:
        if each.role == "agent" and each.attributes.get("supports_agent_messages"):
            with suppress(UsageError):
                found.append(namespace_of(directory_told(each)))
    return found


def temporary_directory_of(agent_name: str) -> str:
    """The folder of threads that end with the agent."""
    return f"tmp://agents/{agent_name}/threads"


def directory_at(namespace: tuple[str, ...]) -> str:
    """How a folder is written; the opposite of `namespace_of`."""
    return SCHEME + "/".join(namespace)


def namespace_of(directory: str) -> tuple[str, ...]:
    """The namespace of a thread folder. Raises `UsageError` for a folder that cannot be one."""
    parts = tuple(directory.removeprefix(SCHEME).strip("/").split("/"))
    if not all(parts) or "://" in directory.removeprefix(SCHEME):
        raise UsageError(f"{directory!r} is not a folder of threads.", fix="Write it like dataset://a/b.")
    return parts


def table_of(thread_id: ThreadId, namespace: tuple[str, ...]) -> TableRef:
    """The table of a thread below `namespace`, at most `MAX_FOLDERS` folders deep.

    Whoever can chat can send any thread id, and must not reach other tables of the room through the agent:
    everything that is not a thread of this folder raises `RoomRequestError` (not found). The doubled scheme
    that published queue and mail channels write is taken literally, as they do.
    """
    if not thread_id.startswith(SCHEME):
        raise _unknown(thread_id)
    *parents, name = thread_id.removeprefix(SCHEME).split("/")
    doubled = ("dataset:", "", *namespace)
    folder = doubled if tuple(parents[: len(doubled)]) == doubled else namespace
    inside = parents[len(folder) :]
    if tuple(parents[: len(folder)]) != folder or not can_name((*inside, name)):
        raise _unknown(thread_id)
    return TableRef(name, tuple(part for part in parents if part))


def can_name(parts: Sequence[str]) -> bool:
    """Whether these folders, and the name at their end, can name a thread below a thread folder."""
    fit = all(_TABLE.fullmatch(part) and part not in RESERVED for part in parts)
    return fit and len(parts) <= MAX_FOLDERS + 1


def check_new(thread_id: ThreadId, namespace: tuple[str, ...]) -> None:
    """Whether a thread can be made under this id: none with a doubled scheme, and none that published agents
    would not open. Raises `RoomRequestError` (not found).
    """
    table = table_of(thread_id, namespace)
    if table.namespace[: len(namespace)] != namespace or table.name.endswith(".thread"):
        raise _unknown(thread_id)


def _unknown(thread_id: str) -> RoomRequestError:
    return RoomRequestError(f"There is no thread {thread_id[:200]!r}.", code=NOT_FOUND)


def unknown_thread(thread_id: ThreadId) -> RoomRequestError:
    """The error for a thread that is not there."""
    return _unknown(thread_id)
