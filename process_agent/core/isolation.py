"""Whose threads they are, where each participant has its own: nobody sees or touches another's.

A thread belongs to who began it, by name (`Participant.owner`); the store keeps whose it is. Until the store
has said so, what is asked of a thread waits here, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from process_agent.core import commands as c
from process_agent.core import requests as r
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import ThreadId
from process_agent.core.participants import is_channel
from process_agent.core.refusals import Refusals
from process_agent.core.speaker import Out, Setting
from process_agent.core.threads import viewer_of

MAX_KNOWN = 20_000
"""Threads whose owner is remembered; that of any other is asked for again."""

MAX_WAITING = 200
"""Requests that wait to hear whose one thread is."""

NAMELESS = ErrorInfo(
    "Here each participant has threads of its own, and you have no name in this room.",
    "participant_name_required",
)
CROWDED = ErrorInfo("Too many requests wait for this thread.", "too_many_requests")

type ThreadRequest = (
    r.StartTurn
    | r.SteerTurn
    | r.InterruptTurn
    | r.OpenThread
    | r.CloseThread
    | r.RenameThread
    | r.DeleteThread
    | r.ClearThread
    | r.ChangeModel
    | r.Decide
    | r.AnswerClientTool
    | r.AnswerSecret
    | r.ListCapabilities
)
"""What is asked about one thread."""


def not_there(thread_id: ThreadId) -> ErrorInfo:
    """What is said of a thread that is not there, and of another's: nobody else needs to know that it is."""
    return ErrorInfo(
        f"The thread cannot be opened: There is no thread {thread_id[:200]!r}.", "thread_not_available"
    )


@dataclass(slots=True)
class _Waiting:
    """What goes on once it is known whose a thread is. `create` says that the thread need not exist yet, and
    is `claim`'s then.
    """

    then: Callable[[str | ErrorInfo | None], None]
    claim: str | None = None
    create: bool = False
    viewer: c.Viewer | None = None


class Isolation:
    """The owners of the threads of one agent, as far as they are known. Under `global` there are none."""

    def __init__(self, setting: Setting, refusals: Refusals, out: Out) -> None:
        self._apart = setting.isolation == "participant"
        self._refusals = refusals
        self._out = out
        self._owners: dict[ThreadId, str] = {}
        self._waiting: dict[ThreadId, list[_Waiting]] = {}

    def owner(self, envelope: r.Envelope) -> str | None:
        """Whom a thread made for this request belongs to; None where threads are everybody's."""
        return envelope.sender.owner if self._apart else None

    def admit(self, request: r.Request, go_on: Callable[[r.Request], None]) -> None:
        """Let a request go on, now or once it is known whose thread it is about, or refuse it."""
        if not self._apart or isinstance(request, r.ListModels | r.UnwatchThreads):
            go_on(request)
        elif isinstance(request, r.Left):
            self._left(request, go_on)
        elif (owner := request.envelope.sender.owner) is None:
            self._refusals.refuse(request, NAMELESS)
        else:
            if isinstance(request, r.StartThread | r.StartTurn) and is_channel(owner):
                # Nobody can view a thread of a channel's, and so nobody can be asked about what it does.
                request = replace(request, options=replace(request.options, attended=False))
            if isinstance(request, r.StartThread | r.ListThreads | r.WatchThreads):
                go_on(request)
            else:
                self._admit(request, owner, go_on)

    def know(self, thread_id: ThreadId, owner: str | None) -> None:
        """A thread was made for somebody."""
        if owner is not None:
            self._owners[thread_id] = owner
            if len(self._owners) > MAX_KNOWN:
                del self._owners[next(iter(self._owners))]

    def forget(self, thread_id: ThreadId) -> None:
        """A thread is gone."""
        self._owners.pop(thread_id, None)

    def of(self, thread_id: ThreadId, then: Callable[[str | None], None]) -> None:
        """Whose a thread is: `then` is called now or later, with None for nobody's, and never where the store
        cannot say it.
        """
        if not self._apart:
            then(None)
        elif (owner := self._owners.get(thread_id)) is not None:
            then(owner)
        else:
            self._wait(
                thread_id, _Waiting(lambda found: None if isinstance(found, ErrorInfo) else then(found))
            )

    # --- What the store says ---------------------------------------------------------------------

    def found(self, thread_id: ThreadId, owner: str | None) -> None:
        """Whose a thread is; None when it is nobody's, and none that anybody gets by asking."""
        self.know(thread_id, owner)
        for one in self._waiting.pop(thread_id):
            one.then(owner)

    def not_found(self, thread_id: ThreadId, error: ErrorInfo) -> None:
        """The store cannot say whose a thread is, as when there is none."""
        waiting = self._waiting.pop(thread_id)
        for number, one in enumerate(waiting):
            if one.create and number:  # others asked in vain for a thread that this one makes
                self._waiting[thread_id] = waiting[number:]
                self._ask(thread_id, one)
                return
            one.then(error)

    # --- Inside ----------------------------------------------------------------------------------

    def _admit(self, request: ThreadRequest, asker: str, go_on: Callable[[r.Request], None]) -> None:
        thread_id = request.thread_id
        waiting = self._waiting.get(thread_id)
        if waiting is None and (owner := self._owners.get(thread_id)) is not None:
            self._decide(request, asker, owner, go_on)
        elif waiting is not None and len(waiting) >= MAX_WAITING:
            self._refusals.refuse(request, CROWDED)
        elif isinstance(request, r.CloseThread) and waiting is None:
            go_on(request)  # it can only close what it opened
        else:
            claim = None if isinstance(request, r.CloseThread) else asker
            create = isinstance(request, r.StartTurn) and request.create
            viewer = viewer_of(request.envelope)
            self._wait(
                thread_id,
                _Waiting(lambda found: self._decide(request, asker, found, go_on), claim, create, viewer),
            )

    def _decide(
        self,
        request: ThreadRequest,
        asker: str,
        found: str | ErrorInfo | None,
        go_on: Callable[[r.Request], None],
    ) -> None:
        if isinstance(request, r.CloseThread) or found == asker:
            go_on(request)
        else:
            refusal = found if isinstance(found, ErrorInfo) else not_there(request.thread_id)
            self._refusals.refuse(request, refusal)

    def _left(self, request: r.Left, go_on: Callable[[r.Request], None]) -> None:
        """Views that its waiting requests will open are closed again."""
        viewer = c.Viewer(request.channel, request.participant.id)
        for waiting in self._waiting.values():
            if any(one.viewer == viewer for one in waiting):
                waiting.append(_Waiting(lambda _: go_on(request)))
        go_on(request)

    def _wait(self, thread_id: ThreadId, one: _Waiting) -> None:
        waiting = self._waiting.setdefault(thread_id, [])
        waiting.append(one)
        if len(waiting) == 1:
            self._ask(thread_id, one)

    def _ask(self, thread_id: ThreadId, one: _Waiting) -> None:
        self._out(c.FindOwner(thread_id, one.claim, one.create))
