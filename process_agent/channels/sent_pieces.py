"""Where the texts and logs that go to one person were cut, so that they can be cut there again. Pure.

A client that loses its connection keeps what it shows, opens the thread again, and drops every delta whose
id it knows. What it got of an item that was under way only the client knows. So the item is sent again in the
same pieces with the same ids: it drops those it has, takes the others, and shows the item exactly.

- The id of a piece is made of the item's first delta and of where the piece ends. Who knows the id got all up
  to there, and an item that is cut at the same place twice has the same id there without any memory.
- All connections of one name share the places: one that is behind is cut where the one ahead was cut. So it
  does not matter which of them came back.
- What was surely received goes as one first piece. Streams are in order, so what a client lost is the end of
  what it was sent; and a connection that is known to be alive has received what was sent `RECEIVED_SECONDS`
  ago, because rooms and our websocket ping every 20 to 30 s and drop who does not answer in as much again.

One case is not covered: a connection that lags more than `RECEIVED_SECONDS` behind another one of its name
and then breaks.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from uuid import UUID, uuid5

from process_agent.core.ids import MessageId, ThreadId
from process_agent.core.participants import Participant

RECEIVED_SECONDS = 90.0
"""A connection that is still alive so long after a piece was sent has received it."""

SETTLED_SECONDS = 2 * RECEIVED_SECONDS
"""One that lives so long has also received what was replayed to it when it came."""

KEPT_SECONDS = 1_800.0
"""How long places are remembered for somebody who left."""

MAX_PIECES = 4_096
"""Pieces of one item that are remembered, the newest: at one in 25 ms more than `RECEIVED_SECONDS` have."""

MAX_ITEMS = 512
"""Items that are remembered of one person and thread, the newest."""

MAX_PEOPLE = 2_000
"""People and threads, those who left included, that one channel remembers."""

MAX_IN_ALL = 500_000
"""Pieces that one channel remembers, of 16 bytes each."""

MAX_AWAY = 16
"""Connections of one person and thread that ended and are waited for."""

_NAMESPACE = UUID("5d3f5f52-6f0e-4b43-9f7e-0f6d4f6f2f3a")

type _Key = tuple[str, str, ThreadId]


def piece_id(first: MessageId, end: int) -> MessageId:
    """The id of the piece that ends after `end` characters, or lines, of the item that `first` began."""
    return MessageId(str(uuid5(_NAMESPACE, f"{first} {end}")))


class Cuts:
    """The places where one item was cut: how many characters, or lines, came before, and when that was sent.

    `done` means that the item is over and all of it was sent.
    """

    __slots__ = ("_ends", "_times", "done")

    def __init__(self) -> None:
        self._ends = array("Q")
        self._times = array("d")
        self.done = False

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def last(self) -> int:
        """Where the newest piece ends."""
        return self._ends[-1] if self._ends else 0

    @property
    def sent_at(self) -> float:
        """When it was sent, in seconds of the channel's clock."""
        return self._times[-1] if self._times else 0.0

    def add(self, end: int, now: float) -> None:
        """A piece that ends here goes out, after all others. Constant time."""
        self._ends.append(end)
        self._times.append(now)
        if len(self._ends) >= 2 * MAX_PIECES:
            del self._ends[:-MAX_PIECES]
            del self._times[:-MAX_PIECES]

    def between(self, start: int, stop: int) -> list[int]:
        """The places after `start`, up to and with `stop`."""
        return self._ends[bisect_right(self._ends, start) : bisect_right(self._ends, stop)].tolist()

    def after_received(self, received: float, stop: int) -> list[int]:
        """The places up to `stop` for one who begins anew: what was sent until `received` is one piece."""
        first = max(bisect_right(self._times, received) - 1, len(self._ends) - MAX_PIECES, 0)
        return self._ends[first : max(bisect_right(self._ends, stop), first)].tolist()

    def skip(self, start: int, stop: int) -> None:
        """Forget the places between, so that the item goes from `start` to `stop` in one piece."""
        begin, end = bisect_right(self._ends, start), bisect_right(self._ends, stop) - 1
        del self._ends[begin:end]
        del self._times[begin:end]


class _Person:
    """One name, with its role, in one thread: its connections and the items they were sent."""

    def __init__(self) -> None:
        self.items: dict[MessageId, Cuts] = {}
        self.present: list[Connection] = []
        self.away: list[tuple[float, float]] = []
        """Connections that did not come back yet: when each was surely alive last, and when it left."""

    @property
    def pieces(self) -> int:
        return sum(map(len, self.items.values()))

    def fed(self, now: float) -> float:
        """Until when every connection, here or expected back, was surely alive."""
        self.away = [(fed, left) for fed, left in self.away if left > now - KEPT_SECONDS]
        return min((now, *(fed for fed, _ in self.away), *(c.fed(now) for c in self.present)))

    def item(self, first: MessageId, now: float) -> Cuts:
        cuts = self.items.get(first)
        if cuts is None:
            self._forget(self.fed(now) - RECEIVED_SECONDS)
            cuts = self.items[first] = Cuts()
        return cuts

    def _forget(self, received: float) -> None:
        """Drop what is over and was received by all: it can go as one piece."""
        while self.items:
            oldest = next(iter(self.items))
            cuts = self.items[oldest]
            if len(self.items) < MAX_ITEMS and not (cuts.done and cuts.sent_at < received):
                return
            del self.items[oldest]


class Connection:
    """One connection of somebody who views a thread, from its arrival until it leaves."""

    def __init__(self, memory: SentPieces | None, key: _Key | None, person: _Person, now: float) -> None:
        self._memory = memory
        self._key = key
        self._person = person
        self._came = now
        self._fed_before = person.fed(now)
        if person.away:
            person.away.pop()
        person.present.append(self)

    @classmethod
    def alone(cls) -> Connection:
        """One that nobody remembers."""
        return cls(None, None, _Person(), 0.0)

    def fed(self, now: float) -> float:
        """Until when whoever is behind this connection was surely alive, on this one or the one before."""
        return now if now - self._came >= SETTLED_SECONDS else self._fed_before

    def begin(self, first: MessageId, now: float, start: int = 0) -> Way:
        """The way of an item whose first delta is `first`; its first `start` lines are not sent."""
        if self._memory is None:
            return Way(first, Cuts(), now, start, self)
        received = self._person.fed(now) - RECEIVED_SECONDS
        return Way(first, self._person.item(first, now), received, start, self)

    def count(self) -> None:
        """A place was added."""
        if self._memory is not None:
            self._memory.count()

    def leave(self, now: float) -> None:
        """The connection is over. Idempotent."""
        person = self._person
        if self not in person.present:
            return
        person.present.remove(self)
        person.away.append((min(now, self.fed(now)), now))
        person.away.sort()
        if len(person.away) > MAX_AWAY:
            del person.away[1]
        if self._memory is not None and self._key is not None:
            self._memory.left(self._key, now)


class Way:
    """How far one connection was sent one item. `at` counts characters, or lines."""

    __slots__ = ("_connection", "_cuts", "_first", "_received", "at", "begun")

    def __init__(
        self, first: MessageId, cuts: Cuts, received: float, start: int, connection: Connection
    ) -> None:
        self._first = first
        self._cuts = cuts
        self._received = received
        self._connection = connection
        self.at = start
        self.begun = False

    def places(self, available: int) -> list[int]:
        """Where to cut what is there up to `available`, as it was cut before."""
        if self.begun:
            return [] if self.at >= self._cuts.last else self._cuts.between(self.at, available)
        return [end for end in self._cuts.after_received(self._received, available) if end > self.at]

    def leads(self, available: int) -> bool:
        """Whether nobody was sent more than what is there, so that the rest may be cut anywhere."""
        return self._cuts.last <= available

    def skip_to(self, end: int) -> None:
        """Go to a place in one piece; the others are cut there too from now on."""
        self._cuts.skip(self.at, end)

    def go(self, end: int, now: float) -> MessageId:
        """The id of the piece from where it is to `end`."""
        first = not self.begun
        self.begun, self.at = True, end
        if end > self._cuts.last:
            self._cuts.add(end, now)
            self._connection.count()
        return self._first if first else piece_id(self._first, end)

    def over(self) -> None:
        """The item is over and was sent."""
        self._cuts.done = True


class SentPieces:
    """What one channel remembers."""

    def __init__(self) -> None:
        self._present: dict[_Key, _Person] = {}
        self._away: dict[_Key, tuple[float, _Person]] = {}
        self._added = 0

    def arrive(self, who: Participant | None, thread_id: ThreadId, now: float) -> Connection:
        """Somebody views a thread; `now` in seconds of any clock that only goes forward."""
        if who is None or who.name is None:
            return Connection.alone()
        key = (who.name, who.role, thread_id)
        person = self._present.get(key) or self._back(key, now)
        if person is None:
            return Connection.alone()
        self._present[key] = person
        return Connection(self, key, person, now)

    def left(self, key: _Key, now: float) -> None:
        """One of its connections is over."""
        person = self._present.get(key)
        if person is not None and not person.present:
            del self._present[key]
            if person.items:
                self._away[key] = (now, person)

    def count(self) -> None:
        """A place was added."""
        self._added += 1
        if self._added > MAX_IN_ALL:
            self._make_room()

    @property
    def pieces(self) -> int:
        """How many places are remembered."""
        return sum(person.pieces for person in self._people())

    def _back(self, key: _Key, now: float) -> _Person | None:
        """Who left and is back, or somebody new; None when there are too many."""
        _, person = self._away.pop(key, (now, _Person()))
        while self._away:
            oldest = next(iter(self._away))
            expired = self._away[oldest][0] <= now - KEPT_SECONDS
            if not expired and len(self._away) + len(self._present) < MAX_PEOPLE:
                break
            del self._away[oldest]
        return person if len(self._present) < MAX_PEOPLE else None

    def _people(self) -> Sequence[_Person]:
        return [*(person for _, person in self._away.values()), *self._present.values()]

    def _make_room(self) -> None:
        """Forget half: who left longest ago first, then who came first."""
        left = self.pieces
        for person in self._people():
            if left <= MAX_IN_ALL // 2:
                break
            left -= person.pieces
            person.items.clear()
        self._away = {key: away for key, away in self._away.items() if away[1].items}
        self._added = left
