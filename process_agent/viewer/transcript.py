"""What a viewer knows of one thread: a pure reducer from thread events to turns and items.

Exactness: the text of an item is the concatenation of its deltas, for any split. Idempotence: an event
whose message id was seen does nothing, and a turn that ended takes no more output, so a replay that
overlaps what came live changes nothing. Where live and stored forms have different message ids, `rewind`
forgets unfinished turns before they are replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from process_agent.core.events import (
    ContextCompacted,
    EventBody,
    ModelChanged,
    Status,
    SteerRejected,
    ThreadCleared,
    ThreadEvent,
    TurnRejected,
    UsageUpdated,
)
from process_agent.core.ids import TurnId
from process_agent.core.usage import ContextWindow
from process_agent.viewer.items import AskedSecret, Item, ToolItem, ToolState, Turn, TurnState
from process_agent.viewer.reducing import compact, reduce_event, refuse_turn

DEFAULT_TURN_LIMIT = 1_000
"""Turns a transcript keeps; the oldest are forgotten first."""

SEEN_LIMIT = 20_000
"""Message ids of one turn that are remembered; older ones are forgotten first."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one event did: the turn and the item it touched, where there are any."""

    event: ThreadEvent
    turn: Turn | None = None
    item: Item | None = None


class Transcript:
    """The turns of one thread, built from its events."""

    def __init__(self, *, turn_limit: int = DEFAULT_TURN_LIMIT) -> None:
        self._turn_limit = turn_limit
        self._turns: dict[TurnId, Turn] = {}
        self._seen: dict[TurnId | None, _Seen] = {}
        self.status = Status()
        self.model: ModelChanged | None = None
        self._usage: UsageUpdated | None = None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Turns in the order they were accepted."""
        return tuple(self._turns.values())

    def turn(self, turn_id: TurnId) -> Turn | None:
        """The turn of this id."""
        return self._turns.get(turn_id)

    @property
    def running(self) -> Turn | None:
        """The turn that runs or waits for approval."""
        for turn in reversed(self._turns.values()):
            if turn.state in (TurnState.RUNNING, TurnState.WAITING):
                return turn
        return None

    def waiting_tools(self) -> Iterator[tuple[Turn, ToolItem]]:
        """Tool calls that wait for an approval, oldest first."""
        for turn in self._turns.values():
            if turn.state is TurnState.ENDED:
                continue
            for item in turn.items.values():
                if isinstance(item, ToolItem) and item.state is ToolState.WAITING:
                    yield turn, item

    def asked_secrets(self) -> Iterator[AskedSecret]:
        """Secrets that turns under way wait for, oldest first."""
        for turn in self._turns.values():
            yield from turn.secrets.values()

    @property
    def context(self) -> ContextWindow | None:
        """How full the model's context is, as far as it was said last."""
        for turn in reversed(self._turns.values()):
            if turn.compacted and turn.context is None:
                return None
            if turn.context is not None:
                return turn.context
        return None if self._usage is None else self._usage.context

    @property
    def cost(self) -> float | None:
        """What the turns here cost together, in US dollars; None when no price is known."""
        costs = [turn.cost for turn in self._turns.values() if turn.cost is not None]
        return sum(costs) if costs else None

    @property
    def resume_point(self) -> TurnId | None:
        """Where a replay must begin to bring this transcript up to date; None when it knows no turn."""
        done: TurnId | None = None
        for turn in self._turns.values():
            if turn.state is TurnState.ENDED:
                done = turn.id
            elif turn.state is not TurnState.REFUSED:
                return (
                    done or turn.id
                )  # turns that ended since, beside this one, are known when they come again
        return done

    def rewind(self) -> None:
        """Forget what a replay from `resume_point` will bring again: everything about unfinished turns."""
        for turn in self.turns:
            if turn.state not in (TurnState.ENDED, TurnState.REFUSED):
                del self._turns[turn.id]
                self._seen.pop(turn.id, None)
        self._seen.pop(None, None)
        self.status = Status()

    def apply(self, event: ThreadEvent) -> Change | None:
        """Take an event in. None when it was seen before or comes after its turn's end."""
        seen = self._seen.get(event.turn_id)
        if seen is None:
            seen = self._seen[event.turn_id] = _Seen()
        if not seen.add(event.message_id):
            return None
        if event.turn_id is None:
            return self._apply_to_thread(event)
        if isinstance(event.body, Status):
            self.status = event.body
            return Change(event, self._turns.get(event.turn_id))
        turn = self._turns.get(event.turn_id)
        if turn is None:
            turn = self._add(event.turn_id)
        elif turn.state is TurnState.ENDED and not isinstance(event.body, SteerRejected):
            return None
        item = reduce_event(turn, event, event.body)
        self._after(turn, event.body)
        return Change(event, turn, item)

    def _apply_to_thread(self, event: ThreadEvent) -> Change:
        match event.body:
            case Status():
                self.status = event.body
            case ModelChanged():
                self.model = event.body
            case UsageUpdated():
                self._usage = event.body
            case ThreadCleared():
                self._clear()
            case ContextCompacted():
                return self._compacted_between(event, event.body)
            case TurnRejected(source=source, error=error):
                turn = self._add(TurnId(source))
                refuse_turn(turn, source, error)
                return Change(event, turn)
        return Change(event)

    def _clear(self) -> None:
        """What was said before is gone; a turn that runs or waits is not over."""
        for turn in self.turns:
            if turn.state in (TurnState.ENDED, TurnState.REFUSED):
                del self._turns[turn.id]
                self._seen.pop(turn.id, None)
        self._usage = None

    def _compacted_between(self, event: ThreadEvent, body: ContextCompacted) -> Change:
        """A compaction outside of turns is shown at the end of the last one."""
        if not self._turns:
            return Change(event)
        turn = next(reversed(self._turns.values()))
        return Change(event, turn, compact(turn, body))

    def _add(self, turn_id: TurnId) -> Turn:
        turn = self._turns[turn_id] = Turn(turn_id)
        while len(self._turns) > self._turn_limit:
            oldest = next(iter(self._turns))
            del self._turns[oldest]
            self._seen.pop(oldest, None)
        return turn

    def _after(self, turn: Turn, body: EventBody) -> None:
        if isinstance(body, ModelChanged):
            self.model = body
        if turn.state is TurnState.ENDED:
            self._seen[turn.id] = _Seen()
            if self.running is None:
                self.status = Status()


class _Seen:
    """Message ids, bounded by `SEEN_LIMIT`."""

    __slots__ = ("_ids", "_order")

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._order: deque[str] = deque()

    def add(self, message_id: str) -> bool:
        """False when it is there already. An empty id is never remembered."""
        if not message_id:
            return True
        if message_id in self._ids:
            return False
        self._ids.add(message_id)
        self._order.append(message_id)
        if len(self._order) > SEEN_LIMIT:
            self._ids.discard(self._order.popleft())
        return True
