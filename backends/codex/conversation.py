"""The Codex thread behind a thread of the room: made, resumed, copied, or made anew where that cannot be.

Threads of rooms that keep them have a Codex thread that Codex records; others an ephemeral one. Whichever it
is, the model sees each word of the room's thread once: Codex is told only what it has not seen (`seen`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from backends.codex import client, seen
from backends.codex.app_server import AppServer, Inbox
from backends.codex.association import Association, fixed_key, read_association
from backends.codex.history import loses
from backends.codex.host import Host, Standing
from backends.codex.mcp_servers import servers_config
from backends.codex.memory import Memory
from backends.codex.record_upkeep import OURS, copy_thread, discard_thread
from backends.codex.rollout import Record
from backends.codex.summaries import told
from process_agent.core.backend import HistoryItem, ThreadState
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.usage import UNMETERED, Meter, Usage
from process_agent.errors import ProcessError, RemoteError
from process_agent.io.tasks import Tasks

logger = logging.getLogger(__name__)

LOOK_BACK: Final = 20
"""Turns of Codex's record among which the last one that the room knows is looked for."""


class NotResumedError(Exception):
    """Why Codex cannot go on with its own record. `quiet` when nothing is wrong."""

    def __init__(self, reason: str, *, quiet: bool = False) -> None:
        super().__init__(reason)
        self.quiet = quiet


class Conversation:
    """What of Codex belongs to one thread of the room. At most one turn connects at a time."""

    def __init__(
        self, host: Host, thread_id: ThreadId, memory: Memory, state: ThreadState, tasks: Tasks, inbox: Inbox
    ) -> None:
        self._host = host
        self._thread_id = thread_id
        self._memory = memory
        self._state = state
        self._tasks = tasks
        self._inbox = inbox
        self.server: AppServer | None = None
        self.codex_thread: str | None = None
        self.folder = host.folder
        self.meter: Meter = UNMETERED
        self.model: str | None = None
        self.mode: object = None
        """The mode that the Codex thread has, as far as it is known."""
        self.used: Usage | None = Usage()
        self.record: Record | None = None
        self._fixed: str | None = None
        self._unsure = False
        self._earlier: frozenset[str] = frozenset()
        self._leaving: asyncio.Task[None] | None = None
        self._notice: str | None = None
        self._replaced: TurnId | None = None

    def take_notice(self) -> str | None:
        """What people should know about how the Codex thread came about, once."""
        notice, self._notice = self._notice, None
        return notice

    def is_earlier(self, codex_turn: object) -> bool:
        """Whether Codex speaks of a turn from before the thread was resumed."""
        return codex_turn in self._earlier

    def doubt(self) -> None:
        """Codex may not have all of the last turn: it is asked before the next one."""
        self._unsure = True

    def lose(self) -> None:
        """The app-server is gone, or this thread of it is not to be used any more."""
        self.server = self.codex_thread = None

    async def connected(
        self, model: str | None, standing: Standing | None, turn: TurnId, replaces: TurnId | None = None
    ) -> tuple[AppServer, str]:
        """A Codex thread that knows all from before `turn` but `replaces`; tried again once when Codex dies
        meanwhile.

        Without `standing` the one that is there will do.
        """
        self._replaced = replaces
        for attempt in (1, 2):
            server = await self._host.server()
            try:
                return server, await self._connect(server, model, standing, turn)
            except ProcessError:
                if attempt == 2 or server.alive:
                    raise
        raise AssertionError("the second attempt returns or raises")

    async def close(self) -> None:
        """Let Codex unload the thread; what it recorded stays."""
        server, thread = self.server, self.codex_thread
        self.lose()
        if server is not None and thread is not None and server.alive:
            with contextlib.suppress(ProcessError):
                await client.unsubscribe(server, thread)
            server.detach(thread)

    def leave(self, clear_up: Callable[[AppServer, str], Coroutine[Any, Any, None]] | None = None) -> None:
        """Let this Codex thread be, unless it was left before: a later turn resumes it or makes another. What
        its commands left running goes on. `clear_up` comes before Codex may unload it.
        """
        server, thread = self.server, self.codex_thread
        self.lose()
        if server is not None and thread is not None:
            server.detach(thread)
            self._leaving = self._tasks.start(_let_be(server, thread, clear_up), "left thread")

    # --- Connecting ------------------------------------------------------------------------------

    async def _connect(
        self, server: AppServer, model: str | None, standing: Standing | None, turn: TurnId
    ) -> str:
        settings = self._settings(model, standing or Standing())
        fixed = None if standing is None else fixed_key(self._host.provider, settings)
        kept = read_association(self._state.kept) if self._state.durable else None
        same = server is self.server and self.codex_thread is not None
        if same and fixed not in (None, self._fixed):
            self.leave()
            same = False
        if kept is None:
            return (
                self.codex_thread if same and self.codex_thread else await self._start(server, settings, turn)
            )
        try:
            if not same or self.codex_thread is None:
                return await self._resume(server, settings, kept, fixed, turn)
            await self._settle(server, self.codex_thread, kept, turn)
            return self.codex_thread
        except NotResumedError as reason:
            self._tell(reason)
            self.leave()
            thread = await self._start(server, settings, turn)
            if reason.quiet and not self._host.keeps_history:
                self._tasks.start(self._discard(server, kept), "replaced thread")
            return thread

    def _settings(self, model: str | None, standing: Standing) -> dict[str, Any]:
        settings = self._host.thread_settings(model, standing.instructions, self.folder)
        if standing.provider is not None:
            settings["modelProvider"] = standing.provider
        if standing.servers:
            config = {**settings.get("config", {}), **servers_config(standing.servers)}
            settings = {**settings, "config": config}
        return {**settings, "dynamicTools": list(standing.tools)} if standing.tools else settings

    def _tell(self, reason: NotResumedError) -> None:
        if reason.quiet:
            logger.info("%s: %s; Codex is told the conversation again", self._thread_id, reason)
            return
        why = str(reason).rstrip(".")
        self._notice = (
            f"Codex could not go on with its own record of this thread: {why}. It was told the conversation "
            "again; its plan and what it had only thought are gone."
        )
        logger.warning("%s: %s", self._thread_id, self._notice)

    async def _start(self, server: AppServer, settings: dict[str, Any], turn: TurnId) -> str:
        own = {"ephemeral": not self._state.durable, "experimentalRawEvents": True}
        thread = await client.start_thread(server, {**settings, **own})
        if history := await self._told(server, self._memory.items(), settings.get("model")):
            await client.inject_items(server, thread, history)
        self._earlier, self.record = frozenset(), None
        self._take_on(server, thread, settings)
        if self._state.durable:
            self._keep(turn)
        return thread

    async def _resume(
        self,
        server: AppServer,
        settings: dict[str, Any],
        kept: Association,
        fixed: str | None,
        turn: TurnId,
    ) -> str:
        """Go on with the Codex thread that was kept, or with a copy of it in a copy of the room's thread."""
        if self._leaving is not None:
            await asyncio.wait([self._leaving])
        if kept.home != self._host.home:
            raise NotResumedError(f"it is in another Codex home, {kept.home}")
        if fixed not in (None, kept.fixed):
            raise NotResumedError("instructions, tools or the model's provider changed", quiet=True)
        resumable = {name: value for name, value in settings.items() if name != "dynamicTools"}
        try:
            thread = await self._reopen(server, kept, resumable, turn)
        except RemoteError as error:
            raise NotResumedError(str(error)) from error
        return thread

    async def _reopen(
        self, server: AppServer, kept: Association, settings: dict[str, Any], turn: TurnId
    ) -> str:
        about = await self._about(server, kept)
        if about.get("originator") != OURS:
            raise NotResumedError("it was not made by this program")
        turns = [seen.read_turn(each) for each in await client.list_turns(server, kept.thread, LOOK_BACK)]
        self._earlier = frozenset(each.id for each in turns)
        replaced = self._replaced_in(turns, kept)
        if replaced is not None:
            turns = turns[turns.index(replaced) + 1 :]
        if copied := kept.room != self._thread_id:
            turns = self._common(turns)
        unseen = await self._unseen(server, kept.thread, turns, kept, turn)
        wanted = {"threadId": kept.thread, "excludeTurns": True, **settings}
        # Where Codex's record is all that is kept, the earlier answer stays in it, and a copy goes on.
        spared = replaced is not None and not copied and self._host.keeps_history
        if spared and not turns:
            raise NotResumedError("its first turn is asked again", quiet=True)
        if copied or spared:
            reopened = await copy_thread(server, {**wanted, "lastTurnId": turns[0].id})
        else:
            reopened = await client.resume_thread(server, wanted)
        if replaced is not None and not copied and not spared:
            await client.revert_thread(server, kept.thread, replaced.id)
            reopened = await client.resume_thread(server, wanted)
        thread, path = str(reopened["id"]), reopened.get("path")
        self.record = Record(Path(path) if isinstance(path, str) else None)
        self._take_on(server, thread, settings, kept.fixed)
        if spared:
            self._keep(kept.turn)
        await self._tell_unseen(server, thread, unseen, turn)
        if copied:
            self._keep(turn)
        if copied or spared:
            self.used = None  # Codex counts what was used before the copy, and does not say how much that is
        return thread

    async def _about(self, server: AppServer, kept: Association) -> dict[str, Any]:
        try:
            return await client.read_thread(server, kept.thread)
        except RemoteError as error:
            if kept.room == self._thread_id:
                raise
            # Somebody cleared or deleted that thread since. The copy has all that was said in it.
            told = not loses(self._memory.items())
            raise NotResumedError("the thread that this is a copy of is gone", quiet=told) from error

    def _replaced_in(self, turns: Sequence[seen.CodexTurn], kept: Association) -> seen.CodexTurn | None:
        """The turn that the next one replaces. What Codex was told just before it stays told when it is
        reverted, and nobody knows then what that was: Codex is told anew.
        """
        wanted = self._replaced
        found = next((each for each in turns if wanted is not None and wanted in each.said), None)
        if found is not None and kept.turn == self._replaced:
            raise NotResumedError("its first turn since Codex was told something is asked again", quiet=True)
        return found

    def _common(self, turns: Sequence[seen.CodexTurn]) -> list[seen.CodexTurn]:
        """Those up to the last one that is over and that a copy of the room's thread knows."""
        known = seen.turns_of(self._memory.items())
        for position, each in enumerate(turns):
            if known.intersection(filter(None, each.said)) and each.status != "inProgress":
                return list(turns[position:])
        raise NotResumedError("it has no turn in common with this copy")

    def _take_on(
        self, server: AppServer, thread: str, settings: dict[str, Any], fixed: str | None = None
    ) -> None:
        self.server, self.codex_thread, self._unsure = server, thread, False
        self._fixed = fixed or fixed_key(self._host.provider, settings)
        self.model, self.mode, self.used = settings.get("model"), None, Usage()
        server.attach(thread, self._inbox)

    # --- What Codex has seen ---------------------------------------------------------------------

    async def _settle(self, server: AppServer, thread: str, kept: Association, turn: TurnId) -> None:
        """Tell Codex what it dropped of the last turn."""
        if not self._unsure:
            return
        try:
            turns = [seen.read_turn(each) for each in await client.list_turns(server, thread, LOOK_BACK)]
        except RemoteError as error:  # nobody said anything there yet
            raise NotResumedError(str(error), quiet=True) from error
        unseen = await self._unseen(server, thread, turns, kept, turn)
        await self._tell_unseen(server, thread, unseen, turn)
        self._unsure = False

    async def _unseen(
        self,
        server: AppServer,
        thread: str,
        turns: Sequence[seen.CodexTurn],
        kept: Association,
        turn: TurnId,
    ) -> list[HistoryItem]:
        """What of the room's thread Codex has not seen. Raises `NotResumedError` when nobody can tell."""
        history = self._memory.items()
        known = seen.turns_of(history)
        if any(turn in each.said for each in turns):
            raise NotResumedError("it was cut off while this turn began")
        if any(each.status == "inProgress" for each in turns):
            raise NotResumedError("it still works on an earlier turn")
        if kept.telling and not any(kept.turn in each.said for each in turns):
            raise NotResumedError("it is not known what it was told last")
        for each in turns:
            if common := known.intersection(filter(None, each.said)):
                done = each.status == "completed"
                recorded = None if done else await self._recorded(server, thread, each)
                return seen.after_turn(history, common, recorded)
            if not each.said:
                after = seen.after_items(history, await self._recorded(server, thread, each))
                if after is not None:
                    return after
        unseen = seen.from_turn(history, kept.turn)
        if unseen is None:
            raise NotResumedError("it is not known how much of this thread it has seen")
        return unseen

    async def _recorded(self, server: AppServer, thread: str, turn: seen.CodexTurn) -> seen.Recorded:
        return seen.read_items(await client.list_items(server, thread, turn.id))

    async def _tell_unseen(
        self, server: AppServer, thread: str, unseen: Sequence[HistoryItem], turn: TurnId
    ) -> None:
        items = await self._told(server, unseen, self.model)
        if not items:
            return
        self._keep(turn, telling=True)
        await self._state.flush()
        await client.inject_items(server, thread, items)
        self._keep(turn)

    async def _told(
        self, server: AppServer, items: Sequence[HistoryItem], model: str | None
    ) -> list[dict[str, Any]]:
        several = self._memory.senders.several
        found = await told(items, self._host.bare, server, model, self.meter, senders=several)
        if found.notice is not None:
            self._notice = f"{self._notice} {found.notice}" if self._notice else found.notice
        return found.items

    def _keep(self, turn: TurnId, *, telling: bool = False) -> None:
        if self.codex_thread is None or self._fixed is None:
            return
        association = Association(
            self.codex_thread, self._host.home, self._thread_id, self._fixed, turn, telling
        )
        self._state.keep(association.state())

    async def _discard(self, server: AppServer, replaced: Association) -> None:
        if replaced.room != self._thread_id:
            return
        if self._leaving is not None:
            await asyncio.wait([self._leaving])
        with contextlib.suppress(ProcessError):
            await discard_thread(server, replaced.thread)


async def _let_be(
    server: AppServer,
    thread: str,
    clear_up: Callable[[AppServer, str], Coroutine[Any, Any, None]] | None,
) -> None:
    with contextlib.suppress(ProcessError):
        if clear_up is not None:
            await clear_up(server, thread)
        await client.unsubscribe(server, thread)
