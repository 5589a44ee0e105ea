"""One turn for scripts: ask, pass on what happens, say how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol, assert_never

from process_agent.core.content import ContentPart
from process_agent.core.decisions import Decision
from process_agent.core.events import EndReason, SecretRequested
from process_agent.core.ids import MessageId, ThreadId, TurnId
from process_agent.core.requests import ModelWish, TurnOptions
from process_agent.core.titles import title_of
from process_agent.errors import BackendError, ProcessError, RoomClosedError, TimeLimitError, TurnRefusedError
from process_agent.viewer import secrets
from process_agent.viewer.approvals import waits_for
from process_agent.viewer.approve import Approve
from process_agent.viewer.client import AgentClient
from process_agent.viewer.items import MessageItem, ToolItem, Turn, TurnState
from process_agent.viewer.received import Received
from process_agent.viewer.transcript import Change
from process_agent.viewer.updates import Failed, Happened, Loaded, Offline, Older, Online, Update
from process_agent.viewer.view import AS_IT_IS, ThreadView

PLAIN = TurnOptions()
"""A turn that nothing is said about."""

STOP_SECONDS = 5.0
"""How long a turn that was asked to stop may take to say that it ended."""


class Sink(Protocol):
    """Where a single turn goes."""

    def message(self, received: Received) -> None:
        """A message about the thread, as it came, each once."""
        ...

    def change(self, change: Change) -> None:
        """What a message changed in the turn."""
        ...

    def notice(self, text: str) -> None:
        """Something to know on the way, like a lost connection."""
        ...

    def ended(self, turn: Turn) -> None:
        """The turn is over."""
        ...


@dataclass(frozen=True, slots=True)
class Errand:
    """What to ask. `thread` None starts a new one; `limit` is in seconds for everything together. Nobody is
    here to be asked, so `approve` ASK means WAIT.
    """

    content: tuple[ContentPart, ...]
    thread: ThreadId | None = None
    wish: ModelWish = AS_IT_IS
    options: TurnOptions = PLAIN
    approve: Approve = Approve.WAIT
    limit: float | None = None
    sent: Callable[[], object] = lambda: None
    """Called once the message is on its way."""


async def run_once(client: AgentClient, errand: Errand, sink: Sink) -> None:
    """Run one turn to its end.

    Raises `TurnRefusedError` when it was refused, `BackendError` when it failed, was lost or stopped by
    somebody, `TimeLimitError` when `errand.limit` ran out; the turn is stopped then, and also when this is
    cancelled.
    """
    runner = _Once(client, errand, sink)
    try:
        async with asyncio.timeout(errand.limit):
            turn = await runner.run()
    except TimeoutError:
        await runner.stop()
        raise TimeLimitError(
            f"The turn did not end within {errand.limit:g} seconds and was stopped.",
            fix="Give it more time with --timeout.",
        ) from None
    except asyncio.CancelledError:
        await runner.stop()
        raise
    finally:
        await runner.close()
    _check(turn)


class _Once:
    """One turn under way."""

    def __init__(self, client: AgentClient, errand: Errand, sink: Sink) -> None:
        self._client = client
        self._errand = errand
        self._sink = sink
        self._view: ThreadView | None = None
        self._source: MessageId | None = None
        self._decided: set[str] = set()

    async def run(self) -> Turn:
        errand = self._errand
        if errand.thread is None:
            self._view = await self._client.start_thread(title_of(errand.content))
        else:
            self._view = self._client.open_thread(errand.thread, load=False)
        self._source = await self._view.start_turn(errand.content, errand.wish, errand.options)
        errand.sent()
        turn = await self._until_ended(self._view.updates())
        self._sink.ended(turn)
        return turn

    async def stop(self) -> None:
        """Ask to stop the turn, and wait a little for its end."""
        turn = self._turn()
        if self._view is None or turn is None or turn.state is TurnState.ENDED:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._view.interrupt(turn.id)
                # Updates that were cancelled while they waited have ended: these are new ones.
                self._sink.ended(await self._until_ended(self._view.updates()))
        except ProcessError as error:
            self._sink.notice(f"The turn may still run: {error}")
        except TimeoutError:
            self._sink.notice("The turn may still run: the agent did not say that it stopped.")

    async def close(self) -> None:
        """Stop viewing."""
        if self._view is not None:
            await self._view.close()

    async def _until_ended(self, updates: AsyncIterator[Update]) -> Turn:
        async for update in updates:
            await self._take(update)
            turn = self._turn()
            if turn is not None and turn.state in (TurnState.ENDED, TurnState.REFUSED):
                return turn
        raise RoomClosedError("The thread was closed before the turn ended.")

    async def _take(self, update: Update) -> None:
        match update:
            case Happened(received, change, repeated):
                if not repeated:
                    self._sink.message(received)
                if change is not None and self._is_ours(change):
                    self._sink.change(change)
                    await self._decide(change)
                    await self._decline_secret(change)
            case Offline(reason):
                self._sink.notice(f"{reason} Waiting for it to come back.")
            case Online():
                self._sink.notice("Back again.")
            case Loaded() | Older():
                pass
            case Failed(error):
                raise error
            case _:
                assert_never(update)

    def _is_ours(self, change: Change) -> bool:
        turn = self._turn()
        return turn is not None and change.turn is turn

    def _turn(self) -> Turn | None:
        """The turn our message became."""
        if self._view is None or self._source is None:
            return None
        transcript = self._view.transcript
        for turn in reversed(transcript.turns):
            if self._source in turn.items or turn.id == TurnId(self._source):
                return turn
        return None

    async def _decide(self, change: Change) -> None:
        item = change.item
        if not isinstance(item, ToolItem) or self._view is None or change.turn is None:
            return
        waiting = [i for t, i in self._view.transcript.waiting_tools() if i is item]
        approve = self._errand.approve
        if waiting and item.id not in self._decided and approve in (Approve.NEVER, Approve.ALWAYS):
            self._decided.add(item.id)
            if (others := waits_for(item.request, self._client.me)) is not None:
                self._sink.notice(f"Nothing is decided here: it waits for {others}.")
                return
            decision = Decision.ACCEPT if approve is Approve.ALWAYS else Decision.DECLINE
            await self._view.decide(change.turn.id, item.id, decision)

    async def _decline_secret(self, change: Change) -> None:
        asked = change.event.body
        if isinstance(asked, SecretRequested) and self._view is not None and change.turn is not None:
            self._sink.notice(f"The agent asked for {asked.name}, and nobody here can be asked for it.")
            await self._view.answer_secret(change.turn.id, asked.ask_id, secrets.NOBODY)


def _check(turn: Turn) -> None:
    error = turn.error
    if turn.state is TurnState.REFUSED:
        message = error.message if error else "no reason given"
        raise TurnRefusedError(f"The turn was refused: {message}", code=error.code if error else "refused")
    match turn.end:
        case EndReason.COMPLETED | None:
            return
        case EndReason.INTERRUPTED:
            raise BackendError("The turn was stopped before it was done.")
        case reason:
            what = "failed" if reason is EndReason.FAILED else "was lost"
            raise BackendError(f"The turn {what}: {error.message if error else 'no reason given'}")


def final_texts(turn: Turn) -> list[str]:
    """The answer of a turn: its final messages, or, when none is marked so, the last one."""
    messages = [item for item in turn.items.values() if isinstance(item, MessageItem) and len(item.text)]
    final = [str(item.text) for item in messages if item.phase != "commentary"]
    return final or [str(item.text) for item in messages[-1:]]
