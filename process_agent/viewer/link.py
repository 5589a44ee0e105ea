"""The way to one agent: finding it in the room, asking it, and knowing whether it is there.

An agent gets another participant id each time it joins, so the link follows its name. Messages count only
when they come from the participant the link follows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from process_agent.core.content import Json
from process_agent.core.events import TurnRejected
from process_agent.core.ids import Clock, IdSource, MessageId, ParticipantId
from process_agent.core.participants import Participant
from process_agent.core.replies import RequestRejected, ThreadStartRejected
from process_agent.core.requests import (
    ChangeModel,
    DeleteThread,
    Envelope,
    ListModels,
    ListThreads,
    Request,
    StartThread,
)
from process_agent.core.room import AGENT_MESSAGE, Messaging, OutgoingStream, RoomMessage
from process_agent.errors import RoomError, RoomRequestError, TimeLimitError, TurnRefusedError
from process_agent.viewer.received import Received, understand
from process_agent.wire.agent_messages import encode_request

CHANNEL = "chat"
REPLY_SECONDS = 30.0
"""How long a reply may take; the published clients wait as long."""

PENDING_LIMIT = 256
"""Requests that may wait for their reply at the same time."""

type Question = StartThread | ListThreads | ListModels | ChangeModel | DeleteThread
"""Requests that get one reply."""


class AgentLink:
    """Follows one agent by name, or the first participant that speaks the agent protocol."""

    def __init__(self, messaging: Messaging, agent_name: str | None, *, new_id: IdSource, now: Clock) -> None:
        self._messaging = messaging
        self._name = agent_name
        self._new_id = new_id
        self._now = now
        self._agent: Participant | None = None
        self._online = True
        self._changed = asyncio.Event()
        self._pending: dict[MessageId, asyncio.Future[Received]] = {}
        self._unsubscribe: list[Callable[[], None]] = []
        self._on_received: Callable[[Received], None] = lambda received: None
        self._on_presence: list[Callable[[], None]] = []

    def start(self, on_received: Callable[[Received], None]) -> None:
        """Listen. `on_received` gets every message of the agent, in order, and must not wait."""
        self._on_received = on_received
        room = self._messaging
        self._unsubscribe = [
            room.on_message(self._message),
            room.on_joined(lambda participant: self._look()),
            room.on_left(lambda participant: self._look()),
            room.on_connection(self._connection),
        ]
        self._look()

    def close(self) -> None:
        """Stop listening; what still waits for a reply fails. Idempotent."""
        while self._unsubscribe:
            self._unsubscribe.pop()()
        for future in self._pending.values():
            if not future.done():
                future.set_exception(RoomError("The room connection was closed before the agent answered."))
        self._pending.clear()

    def on_presence(self, handler: Callable[[], None]) -> None:
        """Call `handler` when the agent or the connection comes or goes."""
        self._on_presence.append(handler)

    @property
    def agent(self) -> Participant | None:
        """The agent when it can be reached now."""
        return self._agent if self._online else None

    @property
    def me(self) -> Participant:
        """Our own entry in the room."""
        return self._messaging.me

    @property
    def online(self) -> bool:
        """Whether the room connection is up."""
        return self._online

    @property
    def name(self) -> str:
        """The agent's name for messages to people."""
        if self._name is None and self._agent is None:
            return "the agent"
        return self._name or (self._agent.name if self._agent else None) or "the agent"

    async def find(self, limit: float) -> Participant:
        """Wait until the agent is there. After `limit` seconds raises `RoomError` that says who is."""
        try:
            async with asyncio.timeout(limit):
                return await self.present()
        except TimeoutError:
            raise self._absent(limit) from None

    async def present(self) -> Participant:
        """Wait, without limit, until the agent can be reached."""
        while (agent := self.agent) is None:
            self._changed.clear()
            await self._changed.wait()
        return agent

    async def absent(self, agent_id: ParticipantId) -> None:
        """Wait until this very participant cannot be reached any more."""
        while (agent := self.agent) is not None and agent.id == agent_id:
            self._changed.clear()
            await self._changed.wait()

    def envelope(self) -> Envelope:
        """An envelope with a new id for a request of ours."""
        return Envelope(MessageId(self._new_id()), CHANNEL, self._messaging.me)

    async def send(self, request: Request) -> None:
        """Send a request as a unary message. Raises `RoomError` when the agent is not there."""
        agent = self.agent
        if agent is None:
            raise RoomError(
                f"{self.name} is not in the room at the moment.", fix="Try again when it is back."
            )
        await self._messaging.send(agent.id, AGENT_MESSAGE, encode_request(request))

    async def open_stream(self, stream_type: str, request: Request) -> OutgoingStream | None:
        """Open a messaging stream, or None when the agent offers none or refuses this one."""
        agent = self.agent
        if agent is None or agent.attributes.get("supports_messaging_streams") is not True:
            return None
        try:
            return await self._messaging.open_stream(agent.id, stream_type, encode_request(request))
        except RoomRequestError:
            return None

    async def ask(self, request: Question) -> Received:
        """Send a request and wait for its reply.

        Raises `TimeLimitError` after `REPLY_SECONDS`, `TurnRefusedError` when the agent refuses it.
        """
        if len(self._pending) >= PENDING_LIMIT:
            raise RoomError(f"{PENDING_LIMIT} requests already wait for an answer of {self.name}.")
        message_id = request.envelope.message_id
        future: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        self._pending[message_id] = future
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                await self.send(request)
                received = await future
        except TimeoutError:
            raise TimeLimitError(
                f"{self.name} did not answer within {REPLY_SECONDS:.0f} seconds.",
                fix="It may be busy or gone; see who is in the room and try again.",
            ) from None
        finally:
            self._pending.pop(message_id, None)
        return _accepted(received)

    def take(self, body: Mapping[str, Json]) -> Received:
        """Decode a message of the agent and hand it to whoever waits for it."""
        received = understand(body, self._now())
        if received.answers is not None:
            self.answered(received.answers, received)
        return received

    def answered(self, source: MessageId, received: Received) -> None:
        """A message answers a request, whether or not it says so itself."""
        future = self._pending.get(source)
        if future is not None and not future.done():
            future.set_result(received)

    def _message(self, message: RoomMessage) -> None:
        agent = self._agent
        if message.type != AGENT_MESSAGE or agent is None or message.sender is None:
            return
        if message.sender.id == agent.id:
            self._on_received(self.take(message.body))

    def _connection(self, online: bool) -> None:
        self._online = online
        self._look(force=True)

    def _look(self, *, force: bool = False) -> None:
        before = self._agent
        roster = list(self._messaging.participants())
        if before is None or all(p.id != before.id for p in roster):
            self._agent = self._choose(roster)
        else:
            self._agent = next(p for p in roster if p.id == before.id)
        if force or (before and before.id) != (self._agent and self._agent.id):
            self._changed.set()
            for handler in self._on_presence:
                handler()

    def _choose(self, roster: list[Participant]) -> Participant | None:
        # Attributes are a participant's own claim; the role comes from its token and is the room's word.
        claiming = [p for p in roster if p.attributes.get("supports_agent_messages") is True]
        speakers = sorted(claiming, key=lambda p: p.role != "agent")
        if self._name is None:
            chosen = next(iter(speakers), None)
            if chosen is not None:
                self._name = chosen.name  # stay with it when it comes back under another id
            return chosen
        return next((p for p in speakers if p.name == self._name), None)

    def waiting_for(self, limit: float) -> str | None:
        """What `find` is going to wait for, and who is there instead; None when the agent is there."""
        if self.agent is not None:
            return None
        return f"Waiting up to {limit:g} seconds for {self._wanted}; in the room: {self._listing}."

    @property
    def _wanted(self) -> str:
        return "an agent" if self._name is None else f"an agent named {self._name!r}"

    @property
    def others(self) -> list[str]:
        """Who else is in the room, each by name once."""
        return presence(self._messaging.participants())

    @property
    def _listing(self) -> str:
        return ", ".join(self.others) or "nobody else"

    def _absent(self, limit: float) -> RoomError:
        if not self._online:
            return RoomError(f"The room connection was lost while waiting for {self._wanted}.")
        return RoomError(
            f"Waited {limit:g} seconds for {self._wanted}; in the room: {self._listing}.",
            fix="Start one with `process join`, or name another with --agent-name.",
        )


def presence(participants: Iterable[Participant]) -> list[str]:
    """Who is there, by name: one with several clients counts once, and how many they are is said."""
    counted = Counter(_describe(p) for p in participants)
    return [name if many == 1 else f"{name} ({many} clients)" for name, many in sorted(counted.items())]


def _describe(participant: Participant) -> str:
    name = participant.name or participant.id
    is_agent = participant.attributes.get("supports_agent_messages") is True
    return f"{name} (agent)" if is_agent else name


def _accepted(received: Received) -> Received:
    if isinstance(received.reply, ThreadStartRejected | RequestRejected):
        error = received.reply.error
        raise TurnRefusedError(error.message, code=error.code)
    if received.event is not None and isinstance(received.event.body, TurnRejected):
        error = received.event.body.error
        raise TurnRefusedError(error.message, code=error.code)
    return received
