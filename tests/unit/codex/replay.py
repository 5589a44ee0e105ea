"""Real conversations with the app-server, fed into the code that turns them into events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.codex.app_server import Lost
from backends.codex.frame import Frame
from backends.codex.running import RunningTurn
from backends.codex.texts import input_text
from backends.codex.usage import TurnUsage
from process_agent.core.decisions import Decision
from process_agent.core.events import ApprovalRequested, BackendEvent
from process_agent.core.ids import TurnId
from process_agent.core.usage import Usage
from process_agent.wire.jsonrpc import Notification, Request, RequestId

TRACES = Path(__file__).parents[2] / "data" / "codex-traces"
NAMES = sorted(path.stem for path in TRACES.glob("*.jsonl"))
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAA"
    "AABJRU5ErkJggg=="
)
"""One pixel."""

INPUT_METHODS = ("turn/start", "turn/steer", "thread/queue/add")


class FakeServer:
    """Keeps the answers we give."""

    def __init__(self) -> None:
        self.answers: dict[RequestId, object] = {}
        self.refused: dict[RequestId, str] = {}

    def answer(self, id: RequestId, result: object) -> bool:
        self.answers[id] = result
        return True

    def refuse(self, id: RequestId, code: int, message: str) -> bool:
        self.refused[id] = message
        return True

    def withdraw(self, id: RequestId) -> None:
        pass

    def expect(self, codex_thread: str, over: object, inbox: object) -> None:
        pass


@dataclass
class Turn:
    """One turn of a trace: what Codex said of it, and what we made of it."""

    turn_id: str
    running: RunningTurn
    server: FakeServer
    events: list[BackendEvent] = field(default_factory=list)
    items: dict[str, str] = field(default_factory=dict)
    """Kinds of all items by their id."""
    completed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Completed items that came before the end of the turn."""
    heard: list[Notification | Request | Lost] = field(default_factory=list)
    """Everything that was said to the turn, in order."""
    ours: list[str] = field(default_factory=list)
    """What people say in it, which is not shown again."""

    def say(self, text: str) -> None:
        self.ours.append(text)
        self.running.mapper.said_by_us(text)

    def hear(self, message: Notification | Request | Lost) -> None:
        self.heard.append(message)
        params = getattr(message, "params", {})
        item = params.get("item")
        if isinstance(item, dict) and params.get("turnId") == self.turn_id and not self.running.mapper.ended:
            self.items[item["id"]] = item["type"]
            if isinstance(message, Notification) and message.method == "item/completed":
                self.completed[item["id"]] = item
        self.events += self.running.take(message)


class Replay:
    """Plays one trace."""

    def __init__(self, client_tools: frozenset[str]) -> None:
        self.turns: dict[str, Turn] = {}
        self._client_tools = client_tools
        self._compacted: set[str] = set()
        self._said: dict[str, list[str]] = {}
        self._asked: dict[RequestId, tuple[Turn, ApprovalRequested]] = {}
        self._folders: dict[str, str] = {}
        self._before: dict[str, Usage] = {}
        """What a thread has used before its first turn here: it was resumed or is a fork."""

    def sent(self, message: dict[str, Any]) -> None:
        """What the client of the trace said."""
        params = message.get("params") or {}
        if message.get("method") in INPUT_METHODS:
            text = input_text(params.get("input"))
            self._said.setdefault(params["threadId"], []).append(text)
            for turn in self.turns.values():
                turn.say(text)
        elif message.get("method") == "thread/compact/start":
            self._compacted.add(params["threadId"])
        elif "method" not in message and message["id"] in self._asked:
            decide(*self._asked.pop(message["id"]), message)

    def received(self, message: dict[str, Any]) -> None:
        """What Codex said."""
        params, method = message.get("params") or {}, message.get("method")
        if method == "thread/started":
            self._folders[params["thread"]["id"]] = params["thread"]["cwd"]
        if method is None or "threadId" not in params:
            return
        thread = params["threadId"]
        if method == "thread/tokenUsage/updated" and params["turnId"] not in self.turns_of(thread):
            base = TurnUsage(lambda window: None)
            base.update(params)
            self._before[thread] = base.total or Usage()
        if method in ("turn/started", "item/started"):
            self._begin(params.get("turnId") or params["turn"]["id"], thread)
        for turn in [t for t in self.turns.values() if t.running.codex_thread == thread]:
            if "id" not in message:
                turn.hear(Notification(method, params))
            elif params.get("turnId") == turn.turn_id:
                turn.hear(Request(message["id"], method, params))
                if isinstance(event := last_request(turn), ApprovalRequested):
                    self._asked[message["id"]] = (turn, event)

    def turns_of(self, thread: str) -> list[str]:
        """Turns of a thread, oldest first."""
        return [name for name, turn in self.turns.items() if turn.running.codex_thread == thread]

    def _begin(self, turn_id: str, thread: str) -> None:
        if turn_id in self.turns:
            return
        before = self.turns_of(thread)
        used = self.turns[before[-1]].running.mapper.usage.total if before else None
        used = used or self._before.get(thread, Usage())
        compact = thread in self._compacted
        self._compacted.discard(thread)
        running = RunningTurn(
            Frame(
                TurnId("T"), self._folders.get(thread, "/"), client_tools=self._client_tools, compact=compact
            )
        )
        server = FakeServer()
        running.goes_to(server, thread, used)  # type: ignore[arg-type]
        running.accepted(turn_id)
        turn = self.turns[turn_id] = Turn(turn_id, running, server)
        for text in self._said.get(thread, ()):
            turn.say(text)


def replay(name: str, client_tools: frozenset[str] = frozenset()) -> list[Turn]:
    """All turns of a trace. What never ended in the trace is ended by the loss of the app-server."""
    playing = Replay(client_tools)
    for direction, message in messages(name):
        if direction == "client->server":
            playing.sent(message)
        else:
            playing.received(message)
    for turn in playing.turns.values():
        turn.hear(Lost())
    return list(playing.turns.values())


def last_request(turn: Turn) -> BackendEvent | None:
    return next((event for event in reversed(turn.events) if isinstance(event, ApprovalRequested)), None)


DECISIONS = {
    "accept": Decision.ACCEPT,
    "acceptForSession": Decision.ACCEPT_FOR_SESSION,
    "cancel": Decision.CANCEL,
}


def decide(turn: Turn, event: ApprovalRequested, answer: dict[str, Any]) -> None:
    """Do what the client of the trace did; an answer that is an error has no counterpart here."""
    result = answer.get("result") or {}
    said = result.get("decision") or result.get("action")
    answers = {key: tuple(given["answers"]) for key, given in result.get("answers", {}).items()}
    decision = Decision.ACCEPT if answers else DECISIONS.get(str(said), Decision.DECLINE)
    turn.running.decide(event.ref.item_id, decision, answers)
    while turn.running._heard:
        turn.events += turn.running.take(turn.running._heard.popleft())


def messages(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Direction and message; of several clients of one process only the first."""
    client = None
    for line in (TRACES / f"{name}.jsonl").read_text().splitlines():
        entry = json.loads(line)
        client = client or entry.get("client")
        if "msg" in entry and entry.get("client") == client:
            yield entry["dir"], entry["msg"]
