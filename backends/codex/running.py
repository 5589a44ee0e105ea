"""One turn under way: what Codex says becomes events, what it asks waits for a decision."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final

from backends.codex.agent_tools import AgentCalls
from backends.codex.app_server import AppServer, Lost
from backends.codex.approvals import Asked, Refused, Settled, read_request
from backends.codex.client_tools import ClientAsks, response
from backends.codex.forms import UserInput
from backends.codex.frame import Frame
from backends.codex.joining import is_delta, joined
from backends.codex.mapping import TurnMapper
from backends.codex.notices import NOTICE
from backends.codex.rollout import READ_AT, Record
from backends.codex.shapes import as_dict
from backends.codex.tools import OpenTool
from process_agent.core.backend import Answered
from process_agent.core.content import ErrorInfo
from process_agent.core.decisions import NO_ANSWERS, Answers, Decision
from process_agent.core.events import (
    ApprovalRequested,
    BackendEvent,
    ClientToolCancelled,
    EndReason,
    SecretRequested,
    TurnEnded,
)
from process_agent.core.ids import AskId, ItemId
from process_agent.core.requests import Secret
from process_agent.core.tools import Toolbox
from process_agent.core.usage import Usage
from process_agent.io.tasks import Tasks
from process_agent.wire.jsonrpc import METHOD_NOT_FOUND, Notification, Request, RequestId

logger = logging.getLogger(__name__)

MAX_QUEUED: Final = 10_000
"""Messages that wait for a slow reader; above it deltas are dropped, which completed items make good."""

type Events = list[BackendEvent]


@dataclass(frozen=True, slots=True)
class Decided:
    """`decide` was called: the item goes on."""

    item_id: ItemId
    own: bool
    accepted: bool
    result: str | None = None


class Answer:
    """`answer` was called: the turn goes on."""


class GivenUp:
    """Codex did not end an interrupted turn in time."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A secret is needed no more."""

    ask_id: AskId


type Heard = Notification | Request | Lost | Decided | Withdrawn | Answer | GivenUp


@dataclass(slots=True)
class _Pending:
    request: RequestId
    asked: Asked
    own: bool
    secrets: dict[AskId, str] = field(default_factory=dict)
    """Secrets that wait still, with the ids of their questions."""
    given: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    decision: Decision | None = None
    """What was decided about the rest, while secrets wait."""


class RunningTurn:
    """State of one turn from its start to its `TurnEnded`."""

    def __init__(self, frame: Frame, toolbox: Toolbox | None = None, tasks: Tasks | None = None) -> None:
        self.frame = frame
        self.mapper = TurnMapper(frame)
        self._calls = AgentCalls(toolbox, (tasks or Tasks("codex turn")).start, self._reply)
        self.server: AppServer | None = None
        self.codex_thread: str | None = None
        self.codex_turn: str | None = None
        self.begun = asyncio.Event()
        """Set when Codex has accepted the turn, or never will."""
        self.over = asyncio.Event()
        self.interrupted = False
        self._record: Record | None = None
        self._completed = False
        self._asks = ClientAsks(frame.turn_id, frame.client_tools)
        self._heard: deque[Heard] = deque()
        self._more = asyncio.Event()
        self._pending: dict[ItemId, _Pending] = {}
        self._secrets = 0
        self._asked_before: set[ItemId] = set()
        """Each question has an id of its own, so that a late answer to one is none to the next."""

    def goes_to(
        self, server: AppServer, codex_thread: str, used: Usage | None, record: Record | None = None
    ) -> None:
        """Codex is asked to run the turn on this thread, which has used so many tokens by now, where that is
        known. `record` tells what the app-server does not.

        The death of an earlier Codex, which may have had the turn before, does not concern it.
        """
        self._heard = deque(message for message in self._heard if not isinstance(message, Lost))
        self.begun.clear()
        self.server, self.codex_thread = server, codex_thread
        server.expect(codex_thread, self.over, self.hear)
        self._record = record
        self.mapper.usage.begin(used)

    def accepted(self, codex_turn: str) -> None:
        """Codex runs the turn under this id."""
        self.codex_turn = codex_turn
        self.begun.set()

    def hear(self, message: Heard) -> None:
        """Something happened; never blocks. A compaction learns the id of its turn here. Nobody waits for
        more words of a turn that is being stopped: with many at once, they would take the time of the stops.
        """
        if self.frame.compact and self.codex_turn is None and isinstance(message, Notification):
            started = as_dict(message.params.get("turn")).get("id")
            if message.method == "turn/started" and isinstance(started, str):
                self.accepted(started)
        if isinstance(message, Lost):
            self.begun.set()
        if isinstance(message, Notification) and is_delta(message):
            if self.interrupted or len(self._heard) >= MAX_QUEUED:
                return
            if self._heard and (both := joined(self._heard[-1], message)) is not None:
                self._heard[-1] = both
                return
        self._heard.append(message)
        self._more.set()

    async def events(self) -> AsyncGenerator[BackendEvent]:
        """Everything up to and with `TurnEnded`."""
        for event in self.mapper.thinking():
            yield event
        while not self.mapper.ended:
            await self._more.wait()
            self._more.clear()
            while self._heard and not self.mapper.ended:
                events = self.take(self._heard.popleft())
                self.mark_end()
                for event in events:
                    yield event
        self.over.set()

    @property
    def completed(self) -> bool:
        """Whether Codex has done all of it and said so."""
        return self._completed

    def mark_end(self) -> None:
        """Note that the turn has ended, before its last event is given: its reader may leave with it."""
        if self.mapper.ended:
            self.over.set()

    def decide(self, item_id: ItemId, decision: Decision, answers: Answers = NO_ANSWERS) -> bool:
        """Answer what waits under this id. False when nothing does."""
        pending = self._pending.get(item_id)
        if pending is None or pending.decision is not None or self.server is None or self.mapper.ended:
            return False
        pending.decision = decision
        pending.given.update(answers)
        return self._conclude(item_id, pending)

    def answer(self, ask_id: AskId, answer: Answered) -> bool:
        """Answer a call of a client's tool, or give a secret. False when nothing waits under this id."""
        if self.server is None or self.mapper.ended:
            return False
        for item_id, pending in self._pending.items():
            if ask_id in pending.secrets:
                question = pending.secrets.pop(ask_id)
                if isinstance(answer, Secret) and answer.value:
                    pending.given[question] = (answer.value,)
                return self._conclude(item_id, pending)
        if isinstance(answer, Secret):
            return False
        request = self._asks.take(ask_id)
        if request is None or not self.server.answer(request, response(answer)):
            return False
        self.hear(Answer())
        return True

    def _conclude(self, item_id: ItemId, pending: _Pending) -> bool:
        """Send the answer once all of it is there; a no does not wait for the rest."""
        decision = pending.decision
        if decision is None or (decision.accepts and pending.secrets):
            return True
        del self._pending[item_id]
        result = pending.asked.answer(decision, pending.given)
        if self.server is None or not self.server.answer(pending.request, result):
            return False
        self.hear(Decided(item_id, pending.own, decision.accepts, _shown(pending)))
        for ask_id in pending.secrets:
            self.hear(Withdrawn(ask_id))
        return True

    def take(self, message: Heard) -> Events:
        """The events of one message; none once the turn has ended."""
        if self.mapper.ended:
            return self._too_late(message)
        events = [self._calls.told(event) for event in self._events(message)]
        if not events or not isinstance(events[-1], TurnEnded):
            return events
        self._calls.close()
        self._completed = events[-1].reason is EndReason.COMPLETED
        return [*events[:-1], *self._asks.close(), events[-1]]

    def _events(self, message: Heard) -> Events:
        match message:
            case Notification():
                return self._notified(message)
            case Request():
                return self._asked(message)
            case Decided(item_id, own, accepted, result):
                return self.mapper.close_own_tool(item_id, accepted, result) if own else []
            case Withdrawn(ask_id):
                return [_secret_withdrawn(ask_id)]
            case Answer():
                return self.mapper.thinking()
            case GivenUp():
                return self.mapper.finish(EndReason.INTERRUPTED)
            case Lost(why):
                reason = EndReason.INTERRUPTED if self.interrupted else EndReason.LOST
                text = (
                    f"Codex stopped working during this turn ({why}). It is started again with the next one."
                )
                return self.mapper.finish(reason, None if self.interrupted else ErrorInfo(text, "codex_lost"))

    def _too_late(self, message: Heard) -> Events:
        if isinstance(message, Request) and self.server is not None:
            self.server.refuse(message.id, METHOD_NOT_FOUND, "that turn is over")
        return []

    def _notified(self, notification: Notification) -> Events:
        params = notification.params
        turn_id = params.get("turnId") or as_dict(params.get("turn")).get("id")
        if turn_id is not None and turn_id != self.codex_turn:
            return []  # the rest of an earlier turn, a command that went on in the background
        if notification.method == "serverRequest/resolved":
            return self._resolved(params.get("requestId"))
        events: Events = []
        now = time.monotonic()
        if self._record is not None and notification.method in READ_AT:
            for item in self._record.items(self.codex_turn):
                events += self.mapper.map("rawResponseItem/completed", {"item": item}, now)
        return [*events, *self.mapper.map(notification.method, params, now)]

    # --- Approvals -------------------------------------------------------------------------------

    def _asked(self, request: Request) -> Events:
        if self.server is None:
            return []
        # An MCP server may ask without Codex knowing for which turn.
        if (request.params.get("turnId") or self.codex_turn) != self.codex_turn:
            self.server.refuse(request.id, METHOD_NOT_FOUND, "that turn is over")
            return []
        if request.method == "item/tool/call":
            opened = self.mapper.tool(str(request.params.get("callId")))
            if self._calls.open(request, None if opened is None else opened.ref):
                return []
            if (asked := self._asks.open(request)) is not None:
                return [asked]
        reading = read_request(request)
        match reading:
            case Settled(result, notice):
                self.server.answer(request.id, result)
                return self.mapper.notice(NOTICE, notice)
            case Refused(code, message):
                self.server.refuse(request.id, code, message)
                return self.mapper.notice(
                    NOTICE, f"Codex asked for {request.method}, which is not supported."
                )
            case Asked():
                return self._ask_people(request, reading)

    def _ask_people(self, request: Request, asked: Asked) -> Events:
        if self.server is None:
            return []
        if not self.frame.asks:
            self.server.answer(request.id, asked.answer(Decision.DECLINE, NO_ANSWERS))
            return []
        opened, events = self._subject(request, asked)
        item_id = opened.ref.item_id
        pending = self._pending[item_id] = _Pending(request.id, asked, own=bool(events))
        events += self._ask_secrets(pending)
        questions = asked.form.questions if asked.form is not None else ()
        if asked.form is not None and not questions:  # nothing but secrets
            pending.decision = Decision.ACCEPT
            return events
        arguments = {**opened.arguments, **asked.arguments}
        return [*events, ApprovalRequested(opened.ref, arguments, asked.reason, asked.decisions, questions)]

    def _ask_secrets(self, pending: _Pending) -> Events:
        form = pending.asked.form
        events: Events = []
        for secret in form.secrets if isinstance(form, UserInput) else ():
            self._secrets += 1
            ask_id = AskId(f"{self.frame.turn_id}:secret-{self._secrets}")
            pending.secrets[ask_id] = secret.id
            events.append(SecretRequested(ask_id, secret.name, secret.prompt))
        return events

    def _subject(self, request: Request, question: Asked) -> tuple[OpenTool, Events]:
        """The tool call a question is about; one of our own, started here, when there is none."""
        opened = None
        if question.server is not None:
            opened = self.mapper.tool_of_server(question.server)
        elif question.item_id is not None and question.part is None:
            opened = self.mapper.tool(question.item_id)
        if opened is not None and opened.ref.item_id not in self._asked_before:
            self._asked_before.add(opened.ref.item_id)
            return opened, []
        return self.mapper.open_own_tool(f"approval-{request.id}", question.tool, question.arguments)

    def _resolved(self, request_id: object) -> Events:
        """Codex needs no answer any more: it got ours, or the turn went on without it."""
        if self.server is not None and isinstance(request_id, int | str):
            self.server.withdraw(request_id)
        self._calls.withdrawn(request_id)
        found = [item for item, pending in self._pending.items() if pending.request == request_id]
        events: Events = self._asks.withdrawn(request_id)
        for item_id in found:
            pending = self._pending.pop(item_id)
            events += [_secret_withdrawn(ask_id) for ask_id in pending.secrets]
            if pending.own:
                events += self.mapper.close_own_tool(item_id, accepted=False)
        return events

    def _reply(self, request: RequestId, result: object) -> None:
        if self.server is not None and not self.mapper.ended:
            self.server.answer(request, result)


def _secret_withdrawn(ask_id: AskId) -> BackendEvent:
    return ClientToolCancelled(ask_id, "secret", "The model goes on without it.")


def _shown(pending: _Pending) -> str | None:
    """What was answered, for people; secrets are nobody's to see."""
    form = pending.asked.form
    if form is None:
        return None
    lines = [
        f"{q.header or q.text}: {', '.join(pending.given.get(q.id) or ('(no answer)',))}"
        for q in form.questions
    ]
    secrets = form.secrets if isinstance(form, UserInput) else ()
    lines += [f"{s.name}: {'(given)' if s.id in pending.given else '(not given)'}" for s in secrets]
    return "\n".join(lines)
