"""Codex's records as all that is kept of threads; see `core.records.Records`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from backends.codex import client
from backends.codex.app_server import AppServer
from backends.codex.association import Association, read_association
from backends.codex.failures import turn_error
from backends.codex.frame import Frame
from backends.codex.host import Host
from backends.codex.mapping import TurnMapper
from backends.codex.record_upkeep import OURS
from backends.codex.rollout import Record
from backends.codex.shapes import as_list, dicts
from backends.codex.texts import input_text
from process_agent.core.backend import KeptState
from process_agent.core.content import ErrorInfo, TextPart
from process_agent.core.events import EndReason, EventBody, Interrupted, Steered, TurnAccepted, TurnStarted
from process_agent.core.ids import MessageId, TurnId
from process_agent.core.records import RecordedThread, RecordedTurn
from process_agent.errors import BackendError, RemoteError

MAX_TURNS: Final = 1_000
"""Turns of a record that are read, the last ones: as many as a replay may have."""

_LOST: Final = ErrorInfo("The agent stopped while this turn was under way.", "lost")


class CodexRecords:
    """See `core.records.Records`."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def key(self, state: KeptState) -> str | None:
        """The Codex thread; None as well for one in another Codex home."""
        kept = read_association(state)
        return kept.thread if kept is not None and kept.home == self._host.home else None

    async def listed(self) -> Mapping[str, RecordedThread]:
        """Threads of this program in the working folder."""
        found = await client.list_threads(await self._host.server(), self._host.folder)
        return {
            str(thread.get("id")): RecordedThread(
                name if isinstance(name := thread.get("name"), str) and name else None,
                _moment(thread.get("createdAt")),
                _moment(thread.get("updatedAt")),
            )
            for thread in found
            if thread.get("originator") == OURS
        }

    async def turns(self, state: KeptState) -> Sequence[RecordedTurn]:
        """The turns of a record, with the plans that Codex makes no item of."""
        server, thread, about = await self._ours(state)
        path = about.get("path")
        plans = await asyncio.to_thread(Record(Path(path)).plans) if isinstance(path, str) else {}
        found = await client.list_whole_turns(server, thread, MAX_TURNS)
        folder, model = str(about.get("cwd") or self._host.folder), about.get("model")
        return [
            read_turn(turn, folder, plans.get(str(turn.get("id"))), model if isinstance(model, str) else None)
            for turn in found
        ]

    async def rename(self, state: KeptState, name: str) -> None:
        """`thread/name/set`."""
        server, thread, _ = await self._ours(state)
        await server.request("thread/name/set", {"threadId": thread, "name": name})

    async def archive(self, state: KeptState) -> None:
        """`thread/archive`."""
        try:
            server, thread, _ = await self._ours(state)
        except RemoteError:  # gone already, or nobody ever said anything there
            return
        await server.request("thread/archive", {"threadId": thread})

    async def _ours(self, state: KeptState) -> tuple[AppServer, str, dict[str, Any]]:
        kept: Association | None = read_association(state)
        if kept is None or kept.home != self._host.home:
            raise BackendError("Codex has no record of this thread in its home.")
        server = await self._host.server()
        about = await client.read_thread(server, kept.thread)
        if about.get("originator") != OURS:
            raise BackendError(f"The Codex thread {kept.thread} was not made by this program.")
        return server, kept.thread, about


def read_turn(
    turn: Mapping[str, Any], folder: str, plan: Mapping[str, Any] | None, model: str | None = None
) -> RecordedTurn:
    """A turn of `thread/turns/list`, with all its items, as the events that it once was. Pure."""
    items = dicts(turn.get("items"))
    said = [item for item in items if item.get("type") == "userMessage"]
    turn_id = TurnId(next((str(x["clientId"]) for x in said if x.get("clientId")), str(turn.get("id"))))
    mapper, heard, bodies = TurnMapper(Frame(turn_id, folder)), 0, list[EventBody]()
    source = MessageId(f"{turn_id}:said-1")
    for item in items:
        if item.get("type") != "userMessage":
            bodies += mapper.map("item/completed", {"item": item}, 0.0)
            continue
        heard += 1
        content = tuple(
            TextPart(text) for part in as_list(item.get("content")) if (text := input_text([part]))
        )
        if heard == 1:
            bodies[:0] = [TurnAccepted(source, content, None), TurnStarted(source, content, None)]
        else:
            bodies.append(Steered(MessageId(f"{turn_id}:said-{heard}"), content, None))
    if not said:  # a compaction
        bodies[:0] = [TurnAccepted(source, (), None), TurnStarted(source, (), None)]
    if plan is not None:
        bodies += mapper.map("turn/plan/updated", plan, 0.0)
    reason, error = _end(turn)
    if reason is EndReason.INTERRUPTED:
        bodies.append(Interrupted(MessageId(f"{turn_id}:interrupt")))
    bodies += mapper.finish(reason, error)
    return RecordedTurn(turn_id, source, _moment(turn.get("startedAt")), model, tuple(bodies))


def _end(turn: Mapping[str, Any]) -> tuple[EndReason, ErrorInfo | None]:
    match turn.get("status"):
        case "completed":
            return EndReason.COMPLETED, None
        case "interrupted":
            return EndReason.INTERRUPTED, None
        case "inProgress":
            return EndReason.LOST, _LOST
        case _:
            return EndReason.FAILED, turn_error(turn.get("error"))


def _moment(seconds: object) -> datetime:
    return datetime.fromtimestamp(seconds if isinstance(seconds, int | float) else 0, UTC)
