"""An agent without its programs: supervisor, runner, thread store and a model that follows a script."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from process_agent.agent.attachments import Attachments
from process_agent.agent.provisions import Provisions
from process_agent.agent.runner import Runner
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core.backend import HistoryItem, ThreadState, TurnInput
from process_agent.core.channel import Ask
from process_agent.core.content import ContentPart, TextPart, plain_text
from process_agent.core.ids import MessageId, ParticipantId, ThreadId
from process_agent.core.participants import Participant
from process_agent.core.replies import Reply, ThreadStarted, ThreadStartRejected
from process_agent.core.room import Datasets
from process_agent.core.selection import Catalogue
from process_agent.core.speaker import Setting
from process_agent.core.supervisor import Supervisor
from process_agent.threads.leases import Presence
from process_agent.threads.store import DatasetThreadStore
from tests.crash.script import SHORT, Step
from tests.fakes.backend import FakeBackend, FakeThread

ANA = Participant(ParticipantId("ana"), "user", {"name": "Ana"})
_AHEAD = 3
"""Digits of counted ids, so that they differ between agents."""


@dataclass
class Said:
    """A piece of text that the model said, and when."""

    at: float
    turn: str
    item: str
    text: str


@dataclass
class Heard:
    """What came of everything so far, to be compared with what a room holds; lists only grow."""

    shown: list[e.ThreadEvent] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    opened: list[tuple[ThreadId, Sequence[HistoryItem]]] = field(default_factory=list)
    ran: list[tuple[ThreadId, str, str]] = field(default_factory=list)
    """Thread, turn and text of each turn that the model was given."""


class Screen:
    """The channel of the one person in the room."""

    name = "chat"

    def __init__(self, heard: Heard) -> None:
        self.heard = heard
        self.ask: Ask = lambda _request: None
        self.news = asyncio.Event()
        self.watch: Callable[[e.ThreadEvent], None] = lambda _event: None

    async def start(self, ask: Ask) -> None:
        self.ask = ask

    def open_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """Nothing to prepare."""

    def close_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """Nothing to release."""

    def show(self, event: e.ThreadEvent, to: Sequence[ParticipantId]) -> None:
        if to:
            self.watch(event)
            self.heard.shown.append(event)
            self.news.set()

    def answer(self, to: ParticipantId, reply: Reply, thread_id: ThreadId | None = None) -> None:
        self.heard.replies.append(reply)
        self.news.set()

    async def ready(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """Everything shown is read."""

    async def close(self) -> None:
        """Nothing is open."""

    async def until[T](self, find: Callable[[], T | None]) -> T:
        """What is found once it is there."""
        while (found := find()) is None:
            self.news.clear()
            await self.news.wait()
        return found


class ScriptedThread(FakeThread):
    """A thread whose model follows the script of its backend."""

    async def run(self, turn: TurnInput) -> AsyncIterator[e.BackendEvent]:
        backend = self.backend
        assert isinstance(backend, ScriptedBackend)
        heard = backend.heard
        heard.ran.append((self.thread_id, turn.turn_id, plain_text(turn.content)))
        self._stop = asyncio.Event()
        for step in backend.script():
            if await self._stopped(step.wait):
                yield e.TurnEnded(e.EndReason.INTERRUPTED)
                return
            if isinstance(step.event, e.TextDelta | e.ReasoningDelta):
                now = asyncio.get_running_loop().time()
                heard.said.append(Said(now, turn.turn_id, step.event.item_id, step.event.text))
            yield step.event
            backend.effect(f"{type(step.event).__name__} is said")

    async def _stopped(self, seconds: float) -> bool:
        if seconds:
            try:
                async with asyncio.timeout(seconds):
                    await self._stop.wait()
            except TimeoutError:
                return False
        return self._stop.is_set()

    async def interrupt(self) -> None:
        self._stop.set()

    async def steer(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
        """It is taken up."""


class ScriptedBackend(FakeBackend):
    """A backend of such threads."""

    def __init__(self, heard: Heard, script: Callable[[], list[Step]]) -> None:
        super().__init__()
        self.heard = heard
        self.script = script
        self.effect: Callable[[str], None] = lambda _what: None

    async def open_thread(
        self, thread_id: ThreadId, history: Sequence[HistoryItem], state: ThreadState
    ) -> ScriptedThread:
        self.heard.opened.append((thread_id, tuple(history)))
        return ScriptedThread(self, thread_id, history, state)


class CrashAgent:
    """One run of the agent, from its start to its death."""

    def __init__(
        self,
        room: Datasets,
        name: str,
        clock: Callable[[], datetime],
        script: Callable[[], list[Step]] = lambda: SHORT,
        presence: Presence | None = None,
    ) -> None:
        """Without `presence`, others can see that it was killed."""
        presence = presence or Presence(name, is_gone=lambda _process: True)
        self.heard = Heard()
        self.screen = Screen(self.heard)
        ids = itertools.count(1)
        self._messages = (f"{name}-ask-{number}" for number in itertools.count(1))

        def new_id() -> str:
            return f"{name}-{next(ids):0{_AHEAD}}"

        self.backend = ScriptedBackend(self.heard, script)
        self.store = DatasetThreadStore(room, "bot", clock=clock, new_id=new_id, presence=presence)
        catalogue = Catalogue(self.backend.models(), self.backend.default_model())
        supervisor = Supervisor(Setting("bot", catalogue, new_id, clock))
        provisions = Provisions(Attachments(None))
        self.runner = Runner(supervisor, self.store, {"codex": self.backend}, [self.screen], provisions)

    async def start(self) -> None:
        await self.store.start()
        await self.screen.start(self.runner.ask)

    async def close(self) -> None:
        await self.runner.close()
        await self.store.close()

    # --- What a person does ----------------------------------------------------------------------

    def _envelope(self) -> r.Envelope:
        return r.Envelope(MessageId(next(self._messages)), "chat", ANA)

    async def new_thread(self, text: str) -> ThreadId | None:
        """A thread that begins with a turn; None when the room did not make it."""
        envelope = self._envelope()
        self.screen.ask(r.StartThread(envelope, (TextPart(text),)))

        def answered() -> ThreadStarted | ThreadStartRejected | None:
            replies = (x for x in self.heard.replies if isinstance(x, ThreadStarted | ThreadStartRejected))
            return next((x for x in replies if x.source == envelope.message_id), None)

        answer = await self.screen.until(answered)
        return answer.thread_id if isinstance(answer, ThreadStarted) else None

    async def all_stored(self) -> None:
        """Return when the room has everything. Raises `RoomError` when it never will."""
        for log in tuple(self.store._logs.values()):
            await log.flush()

    def open(self, thread: ThreadId) -> None:
        self.screen.ask(r.OpenThread(self._envelope(), thread, load=True))

    def turn(self, thread: ThreadId, text: str) -> MessageId:
        envelope = self._envelope()
        self.screen.ask(r.StartTurn(envelope, thread, (TextPart(text),)))
        return envelope.message_id

    def interrupt(self, thread: ThreadId, turn: str) -> None:
        self.screen.ask(r.InterruptTurn(self._envelope(), thread, turn))  # type: ignore[arg-type]

    def steer(self, thread: ThreadId, turn: str, text: str) -> None:
        self.screen.ask(r.SteerTurn(self._envelope(), thread, turn, (TextPart(text),)))  # type: ignore[arg-type]

    def change_model(self, thread: ThreadId, model: str) -> None:
        self.screen.ask(r.ChangeModel(self._envelope(), thread, r.ModelWish("codex", "openai", model)))

    async def ended(self, source: MessageId) -> e.ThreadEvent:
        """The end of the turn that a message began, once it is told."""

        def end() -> e.ThreadEvent | None:
            accepted = {
                x.turn_id
                for x in self.heard.shown
                if isinstance(x.body, e.TurnAccepted | e.TurnRejected) and x.body.source == source
            }
            ended = (x for x in self.heard.shown if isinstance(x.body, e.TurnEnded | e.TurnRejected))
            return next((x for x in ended if x.turn_id in accepted), None)

        return await self.screen.until(end)

    def running(self, thread: ThreadId) -> str | None:
        """The turn that runs there, as far as it was told."""
        began = [x for x in self.heard.shown if x.thread_id == thread and x.turn_id is not None]
        ended = {x.turn_id for x in began if isinstance(x.body, e.TurnEnded)}
        started = [x.turn_id for x in began if isinstance(x.body, e.TurnStarted) and x.turn_id not in ended]
        return started[-1] if started else None
