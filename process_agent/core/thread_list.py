"""The list of threads and what else is asked of the agent as a whole: who watches, models, capabilities."""

from __future__ import annotations

from typing import assert_never

from process_agent.core import commands as c
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.ids import ThreadId
from process_agent.core.isolation import Isolation
from process_agent.core.models import ModelChoice
from process_agent.core.speaker import Out, Setting
from process_agent.core.store import ThreadEntry
from process_agent.core.threads import viewer_of
from process_agent.core.views import Views

type ListRequest = (
    r.ListThreads | r.WatchThreads | r.UnwatchThreads | r.RenameThread | r.ListModels | r.ListCapabilities
)


class ThreadList:
    """Answers what needs no thread to be open."""

    def __init__(self, setting: Setting, views: Views, isolation: Isolation, out: Out) -> None:
        self._setting = setting
        self._views = views
        self._isolation = isolation
        self._out = out

    def handle(self, request: ListRequest, model: ModelChoice) -> None:
        """What a participant asks; `model` is that of the thread it is about, else the agent's."""
        viewer, source = viewer_of(request.envelope), request.envelope.message_id
        match request:
            case r.ListThreads():
                self._out(c.ReadList(request, self._isolation.owner(request.envelope)))
            case r.WatchThreads():
                self._views.watchers[viewer] = self._isolation.owner(request.envelope)
            case r.UnwatchThreads():
                self._views.watchers.pop(viewer, None)
            case r.RenameThread():
                self._out(c.Rename(request))
            case r.ListModels():
                providers = self._setting.catalogue.providers
                self._out(c.Answer(viewer, a.ModelsListed(source, providers)))
            case r.ListCapabilities(_, thread_id):
                toolkits = tuple(self._setting.toolkits(model.backend))
                listed = a.CapabilitiesListed(source, thread_id, "process", toolkits)
                self._out(c.Answer(viewer, listed, thread_id))
            case _:
                assert_never(request)

    def read(self, request: r.ListThreads, threads: tuple[ThreadEntry, ...], total: int) -> None:
        """A page of the index."""
        source = request.envelope.message_id
        listed = a.ThreadsListed(source, threads, total, request.offset, request.limit)
        self._out(c.Answer(viewer_of(request.envelope), listed))

    def created(self, entry: ThreadEntry) -> None:
        """A thread was added to the list."""
        self._tell(entry.path, a.ThreadCreated(entry), None)

    def updated(self, entry: ThreadEntry, asked: r.RenameThread | None) -> None:
        """The index entry of a thread changed."""
        self._tell(entry.path, a.ThreadUpdated(entry), asked)

    def deleted(self, request: r.DeleteThread) -> None:
        """A thread is gone."""
        self._tell(request.thread_id, a.ThreadDeleted(request.thread_id), request)

    def unlisted(self, thread_id: ThreadId) -> None:
        """A thread is gone, and nobody asked us."""
        self._tell(thread_id, a.ThreadDeleted(thread_id), None)

    def _tell(
        self, thread_id: ThreadId, reply: a.Reply, asked: r.RenameThread | r.DeleteThread | None
    ) -> None:
        """Tell watchers, and the one who asked, whose thread it is; else once it is known whose."""
        if asked is not None:
            owner = self._isolation.owner(asked.envelope)
            self._views.tell_watchers(reply, owner, viewer_of(asked.envelope))
        else:
            self._isolation.of(thread_id, lambda owner: self._views.tell_watchers(reply, owner))
