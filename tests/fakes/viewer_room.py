"""A room with one agent whose side the test plays: the messaging port without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from process_agent.core.content import ContentPart, Json
from process_agent.core.events import EventBody, ModelChanged, ThreadEvent, TurnAccepted, TurnStarted
from process_agent.core.ids import MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.models import ModelInfo, ProviderModels
from process_agent.core.participants import Participant
from process_agent.core.replies import ModelsListed, Reply, ThreadLoaded, ThreadsListed, ThreadStarted
from process_agent.core.room import AGENT_MESSAGE, IncomingStream, RoomMessage
from process_agent.core.store import ThreadEntry
from process_agent.errors import RoomError, RoomRequestError
from process_agent.wire.agent_messages import compact, encode_event, encode_reply
from process_agent.wire.agent_messages.parts import Fields, decode_content

START = datetime(2026, 1, 1, 10, tzinfo=UTC)
_ids = count(1)


def agent(name: str = "codex-agent", *, streams: bool = True, participant_id: str = "agent-1") -> Participant:
    attributes: dict[str, Json] = {"name": name, "supports_agent_messages": True}
    if streams:
        attributes["supports_messaging_streams"] = True
    return Participant(ParticipantId(participant_id), "agent", attributes)


def event(
    body: EventBody,
    turn: str | None = "U",
    *,
    thread: str = "T",
    message_id: str | None = None,
    at: float = 0.0,
    model: str | None = None,
) -> ThreadEvent:
    """An event `at` seconds after the start of the test's time."""
    return ThreadEvent(
        MessageId(message_id or f"e{next(_ids)}"),
        ThreadId(thread),
        None if turn is None else TurnId(turn),
        START + timedelta(seconds=at),
        body,
        sender_name="codex-agent",
        model=model,
    )


@dataclass
class FakeStream:
    """Both ends of a stream the viewer opened."""

    type: str
    opening: Mapping[str, Json]
    sent: list[Mapping[str, Json]] = field(default_factory=list)
    closed: bool = False
    answer: Callable[[Mapping[str, Json]], None] = lambda body: None
    _queue: asyncio.Queue[Mapping[str, Json] | None] = field(default_factory=asyncio.Queue)

    async def send(self, message_type: str, body: Mapping[str, Json]) -> None:
        if self.closed:
            raise RoomError("the stream is over")
        self.sent.append(body)
        self.answer(body)

    async def messages(self) -> AsyncIterator[tuple[str, Mapping[str, Json]]]:
        while (body := await self._queue.get()) is not None:
            yield AGENT_MESSAGE, body

    async def close(self) -> None:
        self.closed = True

    def say(self, body: Mapping[str, Json]) -> None:
        self._queue.put_nowait(body)

    def end(self) -> None:
        self.closed = True
        self._queue.put_nowait(None)


class FakeMessaging:
    """The messaging port; the test plays the room and the agent."""

    def __init__(self, *roster: Participant) -> None:
        self.me = Participant(ParticipantId("me"), "user", {"name": "ana"})
        self.roster = list(roster)
        self.streams: list[FakeStream] = []
        self.sent: list[Mapping[str, Json]] = []
        self.answer: Callable[[Mapping[str, Json]], None] = lambda body: None
        self.refuse_streams = False
        self._messages: list[Callable[[RoomMessage], None]] = []
        self._joined: list[Callable[[Participant], None]] = []
        self._left: list[Callable[[Participant], None]] = []
        self._connection: list[Callable[[bool], None]] = []
        self._arrived = asyncio.Event()

    # --- What the viewer uses ---------------------------------------------------------------------

    def participants(self) -> list[Participant]:
        return list(self.roster)

    def participant(self, participant_id: ParticipantId) -> Participant | None:
        return next((p for p in self.roster if p.id == participant_id), None)

    async def send(self, to: ParticipantId, message_type: str, body: Mapping[str, Json]) -> None:
        if self.participant(to) is None:
            raise RoomRequestError("participant is gone", code=1003)
        self.sent.append(body)
        self._arrived.set()
        self.answer(body)

    async def open_stream(self, to: ParticipantId, stream_type: str, body: Mapping[str, Json]) -> FakeStream:
        if self.refuse_streams:
            raise RoomRequestError("no streams")
        stream = FakeStream(stream_type, body, answer=self.answer)
        self.streams.append(stream)
        self._arrived.set()
        return stream

    async def set_attributes(self, attributes: Mapping[str, Json]) -> None:
        raise AssertionError("a viewer sets no attributes")

    def on_message(self, handler: Callable[[RoomMessage], None]) -> Callable[[], None]:
        return _subscribe(self._messages, handler)

    def on_stream(self, handler: Callable[[IncomingStream], None]) -> Callable[[], None]:
        raise AssertionError("a viewer takes no streams")

    def on_joined(self, handler: Callable[[Participant], None]) -> Callable[[], None]:
        return _subscribe(self._joined, handler)

    def on_left(self, handler: Callable[[Participant], None]) -> Callable[[], None]:
        return _subscribe(self._left, handler)

    def on_connection(self, handler: Callable[[bool], None]) -> Callable[[], None]:
        return _subscribe(self._connection, handler)

    # --- What the test does -----------------------------------------------------------------------

    def join(self, participant: Participant) -> None:
        self.roster.append(participant)
        for handler in list(self._joined):
            handler(participant)

    def leave(self, participant: Participant) -> None:
        self.roster.remove(participant)
        for stream in self.streams:
            stream.end()
        for handler in list(self._left):
            handler(participant)

    def connection(self, up: bool) -> None:
        if not up:
            for stream in self.streams:
                stream.end()
        for handler in list(self._connection):
            handler(up)

    def say(self, body: Mapping[str, Json], sender: Participant | None = None) -> None:
        """A unary message of the agent, or of somebody else."""
        message = RoomMessage(sender or self.roster[0], AGENT_MESSAGE, body)
        for handler in list(self._messages):
            handler(message)

    async def stream(self, number: int) -> FakeStream:
        """The viewer's stream of this number, once it is open."""
        while len(self.streams) <= number:
            self._arrived.clear()
            await self._arrived.wait()
        return self.streams[number]

    async def request(self, kind: str, number: int = 0) -> Mapping[str, Json]:
        """The unary request of this kind and number, once it came."""
        while len(found := [b for b in self.sent if str(b["type"]).endswith(kind)]) <= number:
            self._arrived.clear()
            await self._arrived.wait()
        return found[number]


class FakeAgent:
    """Answers what a viewer asks, with one thread `T`; `turn` is what each turn consists of, and `stored`
    what the thread holds. `asked` keeps the kinds of all requests.
    """

    def __init__(self, *turn: EventBody, streams: bool = True) -> None:
        self.me = agent(streams=streams)
        self.room = FakeMessaging(self.me)
        self.room.answer = self._answer
        self.turn = turn
        self.stored: list[ThreadEvent] = []
        self.asked: list[str] = []
        self.providers = (
            ProviderModels(
                "openai",
                "OpenAI",
                "codex",
                "big",
                (ModelInfo("big"), ModelInfo("small")),
            ),
        )
        self.threads = (ThreadEntry(ThreadId("T"), "the thread", START, START),)
        self.turns = count(1)
        self._heard = asyncio.Event()

    async def heard(self, kind: str, times: int = 1) -> None:
        """Wait until this was asked so many times."""
        while self.asked.count(kind) < times:
            self._heard.clear()
            await self._heard.wait()

    def emit(self, body: EventBody, turn: str | None, *, at: float = 0.0) -> None:
        """Send an event to whoever views the thread."""
        self._say(wire_event(event(body, turn, at=at)))

    def _say(self, body: Mapping[str, Json]) -> None:
        live = [stream for stream in self.room.streams if not stream.closed]
        if live:
            live[-1].say(body)
        else:
            self.room.say(body)

    def _answer(self, body: Mapping[str, Json]) -> None:
        kind = str(body["type"]).removeprefix("meshagent.agent.")
        self.asked.append(kind)
        self._heard.set()
        source = MessageId(str(body["message_id"]))
        match kind:
            case "thread.start":
                self.room.say(wire_reply(ThreadStarted(source, ThreadId("T"))))
            case "thread.list":
                self.room.say(wire_reply(ThreadsListed(source, self.threads, len(self.threads), 0, 200)))
            case "models.request":
                self.room.say(wire_reply(ModelsListed(source, self.providers)))
            case "model.change":
                self.emit(ModelChanged(source, "codex", "openai", str(body["model"])), None)
            case "turn.start":
                self._run(source, decode_content(Fields(body)), f"U{next(self.turns)}")

    def opened(self, page: MessageId | None = None, older: str | None = None) -> None:
        """What a viewer that loads the thread gets, or the end of the page it asked for."""
        for happened in self.stored if page is None else ():
            self._say(wire_event(happened))
        self._say(wire_reply(ThreadLoaded(page or MessageId("x"), ThreadId("T"), older=older)))

    def _run(self, source: MessageId, content: tuple[ContentPart, ...], turn: str) -> None:
        self.emit(TurnAccepted(source, content, "ana"), turn)
        self.emit(TurnStarted(source, content, "ana"), turn)
        for body in self.turn:
            self.emit(body, turn, at=1.0)


def wire_event(happened: ThreadEvent) -> Mapping[str, Json]:
    return compact(encode_event(happened))


def wire_reply(reply: Reply) -> Mapping[str, Json]:
    return encode_reply(reply, message_id=f"r{next(_ids)}", created_at=START)


def _subscribe[T](handlers: list[T], handler: T) -> Callable[[], None]:
    handlers.append(handler)
    return lambda: handlers.remove(handler)
