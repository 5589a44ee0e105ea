"""Turns what the supervisor has to say about one thread into commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from process_agent.core.approvers import Approvers
from process_agent.core.backend import ApprovalMode, SandboxMode, ToolkitInfo
from process_agent.core.commands import Audience, Command, Emit, Viewer, Warn
from process_agent.core.events import EventBody, ThreadEvent
from process_agent.core.ids import Clock, IdSource, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.mcp import McpMode
from process_agent.core.participants import Participant
from process_agent.core.selection import Catalogue
from process_agent.core.turn import Turn
from process_agent.core.turn_queue import Waiting
from process_agent.core.viewers import ThreadViewers

type Out = Callable[[Command], None]
type IsolationMode = Literal["global", "participant"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, and counts, that the supervisor keeps."""

    approval: float = 300.0
    """Nobody decided: that means no."""
    client_tool: float = 300.0
    """The sender's client did not answer a tool call."""
    secret: float = 300.0
    """The sender did not give a secret."""
    interrupt: float = 10.0
    """A backend that does not end an interrupted turn is abandoned."""
    steer: float = 2.0
    """How long an ended turn waits to hear whether its last steer was taken."""
    idle: float = 60.0
    """A thread without viewers and turns is released."""
    queued: int = 100
    """Turns that wait in one thread."""
    queued_size: int = 64 << 20
    """Characters of what waits in one thread, attached data included; a single message may not have more."""
    waiting_size: int = 256 << 20
    """Characters of what waits in all threads."""
    steers: int = 100
    """Steers of one turn that the backend has not confirmed."""
    threads_a_minute: int = 600
    """Threads one participant may start within a minute."""
    pending: int = 200
    """Requests that wait until their thread is open."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all threads of one agent share. `clock` and `new_id` are injected.

    `observers` see what goes on in every thread, without opening any. With the isolation `participant`, all
    others see and use their own threads only.
    """

    agent_name: str
    catalogue: Catalogue
    new_id: IdSource
    clock: Clock
    approvals: ApprovalMode = "ask"
    limits: Limits = Limits()
    observers: tuple[Viewer, ...] = ()
    isolation: IsolationMode = "global"
    mcp: McpMode = "none"
    """Which MCP servers a message may bring along."""
    sandbox: SandboxMode = "workspace-write"
    approvers: Approvers = field(default_factory=Approvers)

    toolkits: Callable[[str], Sequence[ToolkitInfo]] = lambda _backend: ()
    """What turns of a backend can use, as far as it is known now."""

    waiting: Waiting = field(default_factory=Waiting)
    """What waits in all threads; the one thing here that changes."""

    def may_decide(self, participant: Participant) -> bool:
        """Whether a participant may approve; role and name come from its token, so nobody can claim them."""
        return self.approvers.allow(participant)

    def may_put_back(self, participant: Participant) -> bool:
        """Whether a participant may have files put back as they were: as far as it may have them changed."""
        if self.sandbox != "read-only" or self.approvals == "auto":
            return True
        return self.approvals == "ask" and self.may_decide(participant)


class Speaker:
    """Says things in one thread."""

    def __init__(
        self,
        thread_id: ThreadId,
        setting: Setting,
        viewers: ThreadViewers,
        out: Out,
        drop: Callable[[Viewer, ThreadId], None],
    ) -> None:
        self.thread_id = thread_id
        self.setting = setting
        self.viewers = viewers
        self.out = out
        self._drop = drop

    def make(
        self,
        body: EventBody,
        turn: Turn | None = None,
        *,
        turn_id: TurnId | None = None,
        message_id: MessageId | None = None,
    ) -> ThreadEvent:
        """An event with everything a client needs to place it; `turn_id` when the turn itself is unknown."""
        model = turn.model if turn is not None else None
        return ThreadEvent(
            message_id=message_id or MessageId(self.setting.new_id()),
            thread_id=self.thread_id,
            turn_id=turn_id if turn is None else turn.id,
            created_at=self.setting.clock(),
            body=body,
            sender_name=self.setting.agent_name,
            provider=None if model is None else model.provider,
            model=None if model is None else model.model,
        )

    def say(self, body: EventBody, turn: Turn | None = None) -> ThreadEvent:
        """Store an event and show it to every viewer."""
        event = self.make(body, turn)
        self.out(Emit(event, self.viewers.audience, store=True))
        if self.viewers.catching_up:
            self._hold(event)
        return event

    def say_to(self, body: EventBody, viewer: Viewer, turn: Turn | None = None) -> None:
        """Like `say`, and also to one who does not view the thread."""
        event = self.say(body, turn)
        if viewer not in self.viewers:
            self.tell_event(event, viewer)

    def show(self, event: ThreadEvent) -> None:
        """Show an event that is stored already, or never will be."""
        self.out(Emit(event, self.viewers.audience, store=False))
        self._hold(event)

    def store(self, event: ThreadEvent) -> None:
        """Store an event without showing it now."""
        self.out(Emit(event, {}, store=True))
        for catch_up in self.viewers.catching_up.values():
            catch_up.expect(event)

    def store_relayed(self, event: ThreadEvent) -> None:
        """Store what was relayed before; who began to load the thread since then has not seen it."""
        self.out(Emit(event, {}, store=True))
        for viewer in self.viewers.hold_unknown(event):
            self._too_slow(viewer)

    def relay(self, event: ThreadEvent, sender: Viewer, *, store: bool) -> None:
        """Show what a participant asked to the other viewers; it knows it itself."""
        self.out(Emit(event, self.viewers.without(sender), store=store))
        self._hold(event, unless=sender)
        self._expect(event, sender)

    def say_with(self, body: EventBody, turn: Turn, viewer: Viewer) -> None:
        """Like `say`, and at once to the one who asked, viewer or not, up to date or not."""
        event = self.make(body, turn)
        self.out(Emit(event, self.viewers.audience, store=True))
        self._hold(event, unless=viewer)
        if viewer not in self.viewers.live:
            self._expect(event, viewer)
            self.tell_event(event, viewer)

    def tell(self, body: EventBody, viewer: Viewer, turn_id: TurnId | None = None) -> None:
        """Show an event to one viewer only, without storing it."""
        self.tell_event(self.make(body, turn_id=turn_id), viewer)

    def tell_event(self, event: ThreadEvent, viewer: Viewer) -> None:
        """Show an event as it is to one viewer only, without storing it."""
        self.out(Emit(event, only(viewer), store=False))

    def _expect(self, event: ThreadEvent, viewer: Viewer) -> None:
        """The viewer knows the event already, should it be on its way through the store."""
        catch_up = self.viewers.catching_up.get(viewer)
        if catch_up is not None:
            catch_up.expect(event)

    def _hold(self, event: ThreadEvent, unless: Viewer | None = None) -> None:
        for viewer in self.viewers.hold(event, unless):
            self._too_slow(viewer)

    def _too_slow(self, viewer: Viewer) -> None:
        self.out(Warn(f"{viewer.participant} reads {self.thread_id} too slowly and lost its view"))
        self._drop(viewer, self.thread_id)


def only(viewer: Viewer) -> Audience:
    """An audience of one."""
    participants: tuple[ParticipantId, ...] = (viewer.participant,)
    return {viewer.channel: participants}
