"""Which threads each participant sees, how it gets to see them, and who watches the thread list."""

from __future__ import annotations

from dataclasses import dataclass

from process_agent.core import commands as c
from process_agent.core.catchup import MAX_WAITING, CatchUp
from process_agent.core.content import ErrorInfo
from process_agent.core.events import ModelChanged, ThreadEvent, UsageUpdated
from process_agent.core.ids import ThreadId
from process_agent.core.older import notice
from process_agent.core.replies import Reply, RequestRejected, ThreadLoaded
from process_agent.core.requests import Envelope, OpenThread
from process_agent.core.speaker import Out, Setting, only
from process_agent.core.thread_turns import ThreadTurns
from process_agent.core.threads import viewer_of
from process_agent.core.viewers import ThreadViewers

MAX_VIEWS = 1_000
"""Threads one participant can view at a time."""

TOO_MANY = ErrorInfo(
    "You asked to load this thread too often at once. Wait for what comes.", "too_many_requests"
)


@dataclass(slots=True)
class _OlderPage:
    """Turns that happened before those a viewer got; everything else of it goes on."""

    viewer: c.Viewer
    request: OpenThread
    older: str | None = None

    def is_for(self, viewer: c.Viewer, thread_id: ThreadId) -> bool:
        return self.viewer == viewer and self.request.thread_id == thread_id


class Views:
    """The views of all threads of one agent. Opening a view changes nothing in the thread."""

    def __init__(self, setting: Setting, out: Out) -> None:
        self.watchers: dict[c.Viewer, str | None] = {}
        """Who hears of the list, each with the owner whose threads it hears of; None for all."""
        self._setting = setting
        self._out = out
        self._threads: dict[ThreadId, ThreadViewers] = {}
        self._seen: dict[c.Viewer, set[ThreadId]] = {}
        self._replays: dict[str, tuple[ThreadTurns, CatchUp]] = {}
        self._pages: dict[str, _OlderPage] = {}

    def of(self, thread_id: ThreadId) -> ThreadViewers:
        """The viewers of a thread."""
        viewers = self._threads.get(thread_id)
        if viewers is None:
            viewers = self._threads[thread_id] = ThreadViewers(self._setting.observers)
        return viewers

    def open(self, envelope: Envelope, thread_id: ThreadId) -> bool:
        """Let one who asks see what happens from now on; False when it sees too many threads."""
        viewer = viewer_of(envelope)
        seen = self._seen.setdefault(viewer, set())
        if thread_id in seen:
            return True
        if len(seen) >= MAX_VIEWS:
            return False
        seen.add(thread_id)
        self._out(c.OpenView(viewer, thread_id))
        viewers = self.of(thread_id)
        viewers.add(viewer)
        if self._setting.may_decide(envelope.sender):
            viewers.deciders.add(viewer)
        return True

    def close(self, viewer: c.Viewer, thread_id: ThreadId) -> None:
        """The viewer sees the thread no more."""
        seen = self._seen.get(viewer, set())
        seen.discard(thread_id)
        if not seen:
            self._seen.pop(viewer, None)
        viewers = self._threads.get(thread_id)
        if viewers is None:
            return
        catch_up = viewers.catching_up.get(viewer)
        if catch_up is not None:
            self._replays.pop(catch_up.replay_id, None)
        for page_id in [key for key, page in self._pages.items() if page.is_for(viewer, thread_id)]:
            del self._pages[page_id]
        if viewers.remove(viewer):
            self._out(c.CloseView(viewer, thread_id))

    def close_all(self, thread_id: ThreadId) -> None:
        """Nobody sees the thread any more."""
        viewers = self.of(thread_id)
        for viewer in (*viewers.live, *viewers.catching_up):
            self.close(viewer, thread_id)
        self.forget(thread_id)

    def leave(self, viewer: c.Viewer) -> tuple[ThreadId, ...]:
        """The viewer is gone; returns what it saw."""
        self.watchers.pop(viewer, None)
        seen = tuple(self._seen.get(viewer, ()))
        for thread_id in seen:
            self.close(viewer, thread_id)
        return seen

    def forget(self, thread_id: ThreadId) -> None:
        """Drop what is kept of a thread without viewers."""
        viewers = self._threads.get(thread_id)
        if viewers is not None and not len(viewers):
            del self._threads[thread_id]

    def tell_watchers(self, reply: Reply, owner: str | None, also: c.Viewer | None = None) -> None:
        """Tell those who watch the list and may know of this owner's threads, and one who asked."""
        told = {viewer for viewer, whose in self.watchers.items() if whose in (None, owner)}
        if also is not None:
            told.add(also)
        for viewer in sorted(told, key=lambda v: (v.channel, v.participant)):
            self._out(c.Answer(viewer, reply))

    # --- Showing a thread ------------------------------------------------------------------------

    def show(self, turns: ThreadTurns, request: OpenThread, fresh: bool) -> None:
        """Show a thread to one who opened it: what is stored if it asked for that, then what goes on now.

        `fresh` is False when it saw everything since the running turn began.
        """
        viewer, viewers = viewer_of(request.envelope), self.of(request.thread_id)
        if viewer not in viewers:  # it left while the log was being opened
            return
        catch_up = viewers.catching_up.get(viewer)
        if request.before is not None:
            self._show_older(request, viewer)
        elif request.load and catch_up is None:
            self._replay(turns, request, [])
        elif request.load and catch_up is not None:
            if len(catch_up.waiting) < MAX_WAITING:
                catch_up.waiting.append(request)
            else:
                self._loaded(viewer, request, None, TOO_MANY)
        elif catch_up is None:
            events = turns.so_far() if fresh else []
            for event in events:
                self._out(c.Emit(event, only(viewer), store=False))
            self._show_state(turns, viewer, model_seen=False, usage_seen=not fresh)

    def replaying(self, replay_id: str) -> bool:
        """Whether somebody still waits for this replay."""
        return replay_id in self._replays or replay_id in self._pages

    def replay_older(self, replay_id: str, cursor: str) -> None:
        """There are turns before those that follow. Who does not page is told so."""
        if (page := self._pages.get(replay_id)) is not None:
            page.older = cursor
        elif (found := self._replays.get(replay_id)) is not None:
            catch_up = found[1]
            catch_up.older = cursor
            catch_up.notice_due = catch_up.request.limit is None and catch_up.request.since_turn is None

    def replayed(self, replay_id: str, event: ThreadEvent) -> None:
        """One stored event, for the one who asked."""
        if (page := self._pages.get(replay_id)) is not None:
            self._out(c.Emit(event, only(page.viewer), store=False))
            return
        found = self._replays.get(replay_id)
        if found is None:
            return
        catch_up = found[1]
        if catch_up.wants(event):
            self._catch_up(catch_up, event)

    def replay_ended(self, replay_id: str, error: ErrorInfo | None) -> None:
        """Everything stored was shown; go over to what happens now."""
        if (page := self._pages.pop(replay_id, None)) is not None:
            self._loaded(page.viewer, page.request, page.older, error)
            return
        found = self._replays.pop(replay_id, None)
        if found is None:
            return
        turns, catch_up = found
        viewer, request = catch_up.viewer, catch_up.request
        for event in catch_up.finish():
            self._catch_up(catch_up, event)
        self.of(request.thread_id).add(viewer)
        self._show_state(turns, viewer, catch_up.model_seen, catch_up.usage_seen)
        self._loaded(viewer, request, catch_up.older, error)
        if catch_up.waiting:
            self._replay(turns, catch_up.waiting[0], catch_up.waiting[1:])

    def _loaded(
        self, viewer: c.Viewer, request: OpenThread, older: str | None, error: ErrorInfo | None
    ) -> None:
        source, thread_id = request.envelope.message_id, request.thread_id
        if error is not None:
            self._out(c.Answer(viewer, RequestRejected(source, thread_id, error), thread_id))
        loaded = ThreadLoaded(source, thread_id, request.since_turn, older)
        self._out(c.Answer(viewer, loaded, thread_id))

    def _show_older(self, request: OpenThread, viewer: c.Viewer) -> None:
        asked = sum(page.is_for(viewer, request.thread_id) for page in self._pages.values())
        if asked >= MAX_WAITING:
            self._loaded(viewer, request, None, TOO_MANY)
            return
        replay_id = self._setting.new_id()
        self._pages[replay_id] = _OlderPage(viewer, request)
        self._read(replay_id, viewer, request)

    def _read(self, replay_id: str, viewer: c.Viewer, request: OpenThread) -> None:
        limit = None if request.limit is None else max(request.limit, 1)
        since = None if request.before is not None else request.since_turn
        self._out(c.Replay(replay_id, viewer, request.thread_id, since, request.before, limit))

    def _catch_up(self, catch_up: CatchUp, event: ThreadEvent) -> None:
        if catch_up.notice_due and event.turn_id is not None:
            catch_up.notice_due = False
            for told in notice(event, self._setting.agent_name):
                self._out(c.Emit(told, only(catch_up.viewer), store=False))
        catch_up.model_seen = catch_up.model_seen or isinstance(event.body, ModelChanged)
        catch_up.usage_seen = catch_up.usage_seen or isinstance(event.body, UsageUpdated)
        self._out(c.Emit(event, only(catch_up.viewer), store=False))

    def _replay(self, turns: ThreadTurns, request: OpenThread, waiting: list[OpenThread]) -> None:
        viewer, replay_id = viewer_of(request.envelope), self._setting.new_id()
        catch_up = CatchUp(replay_id, viewer, request, turns.output.live.open_events(), turns.unpublished)
        catch_up.waiting = waiting
        self.of(request.thread_id).load(catch_up)
        self._replays[replay_id] = (turns, catch_up)
        self._read(replay_id, viewer, request)

    def _show_state(self, turns: ThreadTurns, viewer: c.Viewer, model_seen: bool, usage_seen: bool) -> None:
        if turns.running is not None:
            self._out(c.Emit(turns.status, only(viewer), store=False))
        elif turns.output.usage is not None and not usage_seen:
            self._out(c.Emit(turns.output.usage, only(viewer), store=False))
        if not model_seen and turns.model != self._setting.catalogue.default:
            self._out(c.Emit(turns.model_now(), only(viewer), store=False))
