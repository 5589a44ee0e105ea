"""A supervisor with everything around it in memory, driven one effect at a time.

`World` keeps what the supervisor asked for until the test lets it happen, in whatever order it likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from process_agent.core import commands as c
from process_agent.core import requests as r
from process_agent.core.approvers import PEOPLE, Approvers
from process_agent.core.backend import ApprovalMode
from process_agent.core.content import ErrorInfo, TextPart
from process_agent.core.events import (
    EndReason,
    ModelChanged,
    Status,
    TextDelta,
    TextEnded,
    TextStarted,
    ThreadCleared,
    ThreadEvent,
    TurnEnded,
    UsageUpdated,
    Working,
)
from process_agent.core.ids import AskId, ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels
from process_agent.core.participants import Participant
from process_agent.core.replies import Reply
from process_agent.core.retry import of_log
from process_agent.core.selection import Catalogue
from process_agent.core.speaker import IsolationMode, Limits, Setting
from process_agent.core.store import Page, ThreadEntry
from process_agent.core.supervisor import Supervisor
from process_agent.core.turn_queue import Waiting
from tests.fakes.memory_store import page_of
from tests.fakes.thread_checks import open_items, open_turns

DEFAULT = ModelChoice("codex", "openai", "gpt-5.5")
OTHER = ModelChoice("codex", "openai", "gpt-5.5-mini")
START = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
LOST = ErrorInfo("The agent stopped while this turn was under way.", "lost")
_NO_THREAD = ErrorInfo("There is no such thread.", "thread_not_available")


def two_models() -> Catalogue:
    models = (ModelInfo("gpt-5.5", active=True), ModelInfo("gpt-5.5-mini"))
    return Catalogue([ProviderModels("openai", "OpenAI Codex", "codex", "gpt-5.5", models)], DEFAULT)


def person(name: str, role: str = "user") -> Participant:
    return Participant(ParticipantId(f"id-{name}"), role, {"name": name})


@dataclass
class Sent:
    """What one participant got, in order."""

    events: list[ThreadEvent] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    all: list[ThreadEvent | Reply] = field(default_factory=list)


class World:
    """Carries out commands: at once what needs no waiting, the rest when the test says so."""

    def __init__(
        self,
        approvals: ApprovalMode = "ask",
        catalogue: Catalogue | None = None,
        limits: Limits | None = None,
        isolation: IsolationMode = "global",
        approvers: tuple[str, ...] = (PEOPLE,),
    ) -> None:
        self._ids = 0
        self.now = START
        offer = catalogue or two_models()
        self.setting = Setting(
            "bot",
            offer,
            self.new_id,
            self.clock,
            approvals,
            limits or Limits(),
            isolation=isolation,
            approvers=Approvers(approvers),
        )
        self.owners: dict[ThreadId, str] = {}
        self.supervisor = Supervisor(self.setting)
        self.outstanding: list[c.Command] = []
        self.timers: dict[c.Timer, float] = {}
        self.logs: dict[ThreadId, list[ThreadEvent]] = {}
        self.open_logs: set[ThreadId] = set()
        self.views: set[tuple[c.Viewer, ThreadId]] = set()
        self.sent: dict[ParticipantId, Sent] = {}
        self.warnings: list[str] = []
        self.done: list[c.Command] = []
        self.strays: list[tuple[ParticipantId, ThreadEvent]] = []
        self.loads_began: dict[tuple[c.Viewer, ThreadId], int] = {}
        self.answered: dict[tuple[TurnId, AskId], c.AnswerAsk] = {}
        self.titles: dict[str, str] = {}
        self.names: dict[ThreadId, str] = {}
        self.late_model = False
        """Whether the next log is opened before the model chosen last is known: every second one is."""
        self._readers: dict[str, Iterator[ThreadEvent]] = {}

    def new_id(self) -> str:
        self._ids += 1
        return f"n{self._ids}"

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def restart(self) -> None:
        """The agent is killed and started again: only logs stay, in which the store closes what was lost."""
        self.setting = replace(self.setting, waiting=Waiting())
        self.supervisor = Supervisor(self.setting)
        self.outstanding.clear()
        self.timers.clear()
        self.open_logs.clear()
        self.views.clear()
        self._readers.clear()
        for thread_id, log in self.logs.items():
            for turn_id in open_turns(log):
                for body in (*open_items(log, turn_id), TurnEnded(EndReason.LOST, LOST)):
                    lost = MessageId(self.new_id())
                    log.append(ThreadEvent(lost, thread_id, turn_id, self.clock(), body))

    # --- Requests, in short ----------------------------------------------------------------------

    def envelope(self, who: Participant) -> r.Envelope:
        return r.Envelope(MessageId(self.new_id()), "chat", who)

    def ask(self, request: r.Request) -> None:
        self.carry_out(self.supervisor.handle(request))

    def start_thread(
        self, who: Participant, text: str = "hello", options: r.TurnOptions | None = None
    ) -> r.StartThread:
        content = (TextPart(text),) if text else ()
        request = r.StartThread(self.envelope(who), content, options=options or r.TurnOptions())
        self.ask(request)
        return request

    def start_turn(
        self, who: Participant, thread_id: ThreadId, text: str = "more", options: r.TurnOptions | None = None
    ) -> r.StartTurn:
        content = (TextPart(text),)
        request = r.StartTurn(self.envelope(who), thread_id, content, options=options or r.TurnOptions())
        self.ask(request)
        return request

    def got(self, who: Participant) -> Sent:
        return self.sent.setdefault(who.id, Sent())

    # --- Carrying out ----------------------------------------------------------------------------

    def carry_out(self, commands: list[c.Command]) -> None:
        for command in commands:
            self.done.append(command)
            if isinstance(command, c.Emit):
                self._emit(command)
            elif isinstance(command, c.Answer):
                sent = self.sent.setdefault(command.to.participant, Sent())
                sent.replies.append(command.reply)
                sent.all.append(command.reply)
            elif not self._note(command):
                self.outstanding.append(command)

    def _note(self, command: c.Command) -> bool:
        """Whether the command was carried out at once."""
        match command:
            case c.OpenView(viewer, thread_id):
                assert (viewer, thread_id) not in self.views
                self.views.add((viewer, thread_id))
            case c.CloseView(viewer, thread_id):
                self.views.remove((viewer, thread_id))
            case c.Warn(text):
                self.warnings.append(text)
            case c.StartTimer(timer, seconds):
                self.timers[timer] = seconds
            case c.StopTimer(timer):
                self.timers.pop(timer, None)
            case c.ReleaseThread(thread_id):
                self.open_logs.remove(thread_id)
            case c.AbandonTurn(_, turn_id):
                self.backend_done(turn_id)
            case c.AnswerAsk() | c.CloseBackendThread():
                self._note_backend(command)
            case c.Replay(_, viewer, thread_id):
                began = len(self.sent.setdefault(viewer.participant, Sent()).all)
                self.loads_began[viewer, thread_id] = began
                return False
            case _:
                return False
        return True

    def _note_backend(self, command: c.AnswerAsk | c.CloseBackendThread) -> None:
        if isinstance(command, c.AnswerAsk):
            assert (command.thread_id, command.turn_id) in self.running()
            assert (command.turn_id, command.ask_id) not in self.answered
            self.answered[command.turn_id, command.ask_id] = command
        else:
            assert command.thread_id in self.open_logs
            assert command.thread_id not in [running for running, _ in self.running()]

    def _emit(self, command: c.Emit) -> None:
        event = command.event
        if command.store and not isinstance(event.body, Status | Working):
            assert event.thread_id in self.open_logs
            self.logs[event.thread_id].append(event)
        for channel, participants in command.to.items():
            for participant in participants:
                if (c.Viewer(channel, participant), event.thread_id) not in self.views:
                    self.strays.append((participant, event))
                sent = self.sent.setdefault(participant, Sent())
                sent.events.append(event)
                sent.all.append(event)

    def take(self, kind: type[c.Command]) -> c.Command:
        """Remove and return the oldest outstanding command of a kind."""
        found = self.oldest(kind)
        self.outstanding.remove(found)
        return found

    def oldest(self, kind: type[c.Command]) -> c.Command:
        """The oldest outstanding command of a kind."""
        return next(command for command in self.outstanding if isinstance(command, kind))

    def settle(self) -> None:
        """Let everything happen but the backend's work, until nothing is left."""
        while command := next((o for o in self.outstanding if self.settles(o)), None):
            self.happen(command)

    def settles(self, command: c.Command) -> bool:
        return not isinstance(
            command, c.RunTurn | c.InterruptBackend | c.AbandonTurn | c.SteerBackend | c.DecideItem
        )

    def happen(self, command: c.Command) -> None:
        """Let one outstanding command succeed; a replay advances by one event."""
        if isinstance(command, c.Replay):
            self._replay_step(command)
            return
        self.outstanding.remove(command)
        match command:
            case c.StoreTurnEnd(thread_id, turn_id):
                self.carry_out(self.supervisor.turn_stored(thread_id, turn_id, None))
            case c.SteerBackend(thread_id, turn_id, source):
                self.carry_out(self.supervisor.steer_decided(thread_id, turn_id, source, None))
            case c.DecideItem(thread_id, turn_id, item_id):
                self.carry_out(self.supervisor.item_decided(thread_id, turn_id, item_id, True))
            case c.FindLastMessage(thread_id, request):
                log = self.logs.get(thread_id, [])
                found = of_log(log[cleared_at(log) :])
                self.carry_out(self.supervisor.last_message(request, found))
            case c.AskWorkspace(thread_id, turn_id, asked):
                item = ItemId(self.new_id())
                said = TextStarted(item, "final_answer"), TextDelta(item, asked.value, "final_answer")
                ended = TextEnded(item, "final_answer"), TurnEnded(EndReason.COMPLETED)
                self.backend(thread_id, turn_id, *said, *ended)
            case _:
                self._happen_in_store(command)

    def _happen_in_store(self, command: c.Command) -> None:
        s = self.supervisor
        match command:
            case c.CreateThread(key, name, owner):
                thread_id = ThreadId(f"dataset://t/{self.new_id()}")
                if owner is not None:
                    self.owners[thread_id] = owner
                self.logs[thread_id] = []
                self.open_logs.add(thread_id)
                self.carry_out(s.thread_created(key, self.entry(thread_id, name)))
            case c.OpenLog(thread_id) if thread_id in self.logs:
                self._open_stored(thread_id)
            case c.OpenLog(thread_id, str(create)):
                self.logs[thread_id] = []
                self.open_logs.add(thread_id)
                self.carry_out(s.log_opened(thread_id, None, None, self.entry(thread_id, create)))
            case c.OpenLog(thread_id):
                self.carry_out(s.log_not_opened(thread_id, _NO_THREAD))
            case c.NameThread(thread_id, name):
                self.carry_out(s.thread_updated(self.entry(thread_id, name)))
            case c.MakeTitle(thread_id, _, text):
                self.carry_out(s.title_made(thread_id, self.titles.get(text)))
            case c.FindOwner():
                self._find_owner(command)
            case c.ReadList(request, owner):
                entries = tuple(self.entry(t) for t in self.logs if owner in (None, self.owners.get(t)))
                self.carry_out(s.list_read(request, entries, len(entries)))
            case _:
                self._happen_as_asked(command)

    def _find_owner(self, command: c.FindOwner) -> None:
        thread_id, claim = command.thread_id, command.claim
        if thread_id not in self.logs and not command.create:
            self.carry_out(self.supervisor.owner_not_found(thread_id, _NO_THREAD))
            return
        if claim is not None and thread_id not in self.logs:
            self.owners.setdefault(thread_id, claim)
        self.carry_out(self.supervisor.owner_found(thread_id, self.owners.get(thread_id)))

    def _happen_as_asked(self, command: c.Command) -> None:
        match command:
            case c.TouchThread(thread_id):
                self.carry_out(self.supervisor.thread_updated(self.entry(thread_id)))
            case c.Rename(request):
                entry = self.entry(request.thread_id, request.name)
                self.carry_out(self.supervisor.thread_updated(entry, request))
            case c.ForkThread(request, name, without, owner):
                thread_id = ThreadId(f"{request.thread_id}-copy{len(self.logs)}")
                rows = [x for x in self.logs[request.thread_id] if x.turn_id not in without]
                self.logs[thread_id] = [replace(x, thread_id=thread_id) for x in rows]
                if owner is not None:
                    self.owners[thread_id] = owner
                self.carry_out(self.supervisor.thread_forked(command, self.entry(thread_id, name or "copy")))
            case c.Delete(request):
                self.open_logs.discard(request.thread_id)
                self.logs.pop(request.thread_id, None)
                self.owners.pop(request.thread_id, None)
                self.carry_out(self.supervisor.thread_deleted(request))
            case _:
                raise AssertionError(command)

    def _replay_step(self, command: c.Replay) -> None:
        reader = self._readers.get(command.replay_id)
        if reader is None:
            reader = self._readers[command.replay_id] = self._reader(command)
        event = next(reader, None)
        if event is None:
            self.outstanding.remove(command)
            self.carry_out(self.supervisor.replay_ended(command.replay_id))
        else:
            self.carry_out(self.supervisor.replayed(command.replay_id, event))

    def _reader(self, command: c.Replay) -> Iterator[ThreadEvent]:
        """What the store reads; what is appended meanwhile too, which the real one leaves out."""
        log = self.logs[command.thread_id]
        start = cleared_at(log)
        if command.before is None and command.limit is None:
            return islice(iter(log), start, None)
        told: list[str] = []
        events = page_of(log[start:], Page(command.before, command.limit, told.append))
        for cursor in told:
            self.carry_out(self.supervisor.replay_older(command.replay_id, cursor))
        return iter(events)

    def entry(self, thread_id: ThreadId, name: str | None = None) -> ThreadEntry:
        name = self.names[thread_id] = name or self.names.get(thread_id, "x")
        return ThreadEntry(thread_id, name, START, self.now)

    def _open_stored(self, thread_id: ThreadId) -> None:
        self.open_logs.add(thread_id)
        usage = self.stored_usage(thread_id)
        self.late_model = not self.late_model
        model = None if self.late_model else self.stored_model(thread_id)
        self.carry_out(self.supervisor.log_opened(thread_id, model, usage, model_due=self.late_model))
        if self.late_model:
            self.find_model(thread_id)

    def find_model(self, thread_id: ThreadId) -> None:
        """A test may have it found later."""
        self.carry_out(self.supervisor.model_found(thread_id, self.stored_model(thread_id)))

    def stored_model(self, thread_id: ThreadId) -> ModelChoice | None:
        changes = [event.body for event in self.logs[thread_id] if isinstance(event.body, ModelChanged)]
        last = changes[-1] if changes else None
        return None if last is None else ModelChoice(last.backend, last.provider, last.model, last.effort)

    def stored_usage(self, thread_id: ThreadId) -> ThreadEvent | None:
        log = self.logs[thread_id]
        told = [event for event in log[cleared_at(log) :] if isinstance(event.body, UsageUpdated)]
        return told[-1] if told else None

    def running(self) -> list[tuple[ThreadId, TurnId]]:
        """Turns whose backend works."""
        return [(o.thread_id, o.turn.turn_id) for o in self.outstanding if isinstance(o, c.RunTurn)]

    def backend(self, thread_id: ThreadId, turn_id: TurnId, *events: object) -> None:
        """The backend says these things about a turn."""
        for event in events:
            self.carry_out(self.supervisor.backend_event(thread_id, turn_id, event))  # type: ignore[arg-type]

    def backend_done(self, turn_id: TurnId) -> None:
        """Forget that the backend works on a turn."""
        over = [o for o in self.outstanding if isinstance(o, c.RunTurn) and o.turn.turn_id == turn_id]
        self.outstanding = [o for o in self.outstanding if o not in over]


def cleared_at(events: Sequence[ThreadEvent]) -> int:
    """How many of these events a reader does not see: those until the thread was cleared last."""
    cleared = (i + 1 for i, event in enumerate(events) if isinstance(event.body, ThreadCleared))
    return max(cleared, default=0)
