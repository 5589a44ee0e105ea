"""`/fork`: copies of threads, each told once it is there."""

from __future__ import annotations

from process_agent.core import commands as c
from process_agent.core import slash
from process_agent.core.content import ErrorInfo
from process_agent.core.creations import Creations
from process_agent.core.ids import MessageId
from process_agent.core.isolation import Isolation
from process_agent.core.refusals import Refusals
from process_agent.core.requests import StartTurn
from process_agent.core.speaker import Out
from process_agent.core.store import ThreadEntry
from process_agent.core.thread_turns import ThreadTurns
from process_agent.core.threads import viewer_of
from process_agent.core.titles import title_of


class Forks:
    """The copies that one agent is making."""

    def __init__(self, creations: Creations, isolation: Isolation, refusals: Refusals, out: Out) -> None:
        self._creations = creations
        self._isolation = isolation
        self._refusals = refusals
        self._out = out
        self._pending: set[MessageId] = set()

    def begin(self, turns: ThreadTurns, request: StartTurn, name: str) -> None:
        """Have the thread copied first: what the answer says of the copy is then so."""
        source = request.envelope.message_id
        if source in self._pending or not turns.asides.answers(request, viewer_of(request.envelope)):
            return
        if (refusal := self._creations.refusal(request.envelope.sender)) is not None:
            self._refusals.refuse(request, refusal)
            return
        self._pending.add(source)
        owner = self._isolation.owner(request.envelope)
        title = title_of((), name) if name else None
        self._out(c.ForkThread(request, title, turns.unfinished, owner))

    def done(self, asked: c.ForkThread, made: ThreadEntry | ErrorInfo, turns: ThreadTurns | None) -> None:
        """There is a copy, or there cannot be one; say so in the thread, if it is still open."""
        request = asked.request
        self._pending.discard(request.envelope.message_id)
        if isinstance(made, ErrorInfo):
            text = slash.not_forked_text(made)
        else:
            text = slash.forked_text(made, without_running=bool(asked.without))
        if turns is not None:
            turns.asides.answer(request, viewer_of(request.envelope), lambda: text)
