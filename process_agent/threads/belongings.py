"""What goes with a thread that is deleted, read from its rows before."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from process_agent.core.backend import KeptState
from process_agent.core.ids import ThreadId
from process_agent.errors import RoomRequestError
from process_agent.threads.table import ThreadTable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Belongings:
    """All that backends ever kept, addresses of images that were made, paths of files in its storage."""

    kept: Sequence[tuple[str, KeptState]] = ()
    images: Sequence[str] = ()
    files: AbstractSet[str] = frozenset()


async def belongings_of(table: ThreadTable, thread_id: ThreadId, *, files: bool) -> Belongings:
    """Those of a thread, its files only when they are wanted. What cannot be read is not known: a table that
    cannot be read can be dropped all the same. Raises `RoomError` for a lost connection.
    """

    async def known[T](reading: Awaitable[T], what: str, none: T) -> T:
        try:
            return await reading
        except RoomRequestError as error:
            logger.info("%s of %s are not known: %s", what, thread_id, error)
            return none

    return Belongings(
        await known(table.ever_kept(), "states of backends", ()),
        await known(table.images(), "images", ()),
        await known(table.files(), "files", set()) if files else frozenset(),
    )
