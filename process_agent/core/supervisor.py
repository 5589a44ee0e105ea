"""Routes each request to the turns of its thread; decides, and leaves the doing to the commands it returns.

Sans-IO: every method takes what happened and returns what to do about it, in order. One supervisor serves
one agent with all its channels.
"""

from __future__ import annotations

from process_agent.core import commands as c
from process_agent.core import deciding, mcp, slash, slash_turns, typed
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.content import ContentPart, ErrorInfo
from process_agent.core.creations import Creations, asker_of
from process_agent.core.forks import Forks
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.isolation import Isolation, not_there
from process_agent.core.models import ModelChoice
from process_agent.core.open_threads import OpenThreads
from process_agent.core.refusals import Refusals
from process_agent.core.retry import Retries
from process_agent.core.speaker import Setting
from process_agent.core.store import ListChange, ThreadEntry, Unlisted
from process_agent.core.thread_list import ThreadList
from process_agent.core.thread_turns import ThreadTurns
from process_agent.core.threads import LogRequest, Thread, viewer_of
from process_agent.core.titles import UNTITLED, Titles, title_of

STOPPING = ErrorInfo("The agent is stopping and takes nothing new.", "agent_stopping")
BUSY = ErrorInfo("A turn runs or waits in this thread. Stop it first.", "turn_in_progress")


class Supervisor(OpenThreads):
    """See the module. Not re-entrant: carry the commands out, then report."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._refusals = Refusals(setting, self._do)
        self._isolation = Isolation(setting, self._refusals, self._do)
        self._list = ThreadList(setting, self._views, self._isolation, self._do)
        self._titles = Titles()
        self._creations = Creations(setting)
        self._forks = Forks(self._creations, self._isolation, self._refusals, self._do)
        self._retries = Retries(setting, self._do, self._start_turn, self._refusals)
        self._stopping = False

    @property
    def idle(self) -> bool:
        """Whether no turn runs, waits, is being stored, or is about to be accepted."""
        threads = self._threads.values()
        return not self._creations and all(t.idle for t in threads)

    def stop(self) -> list[c.Command]:
        """The agent stops: take nothing new, refuse what waits, interrupt what runs."""
        self._stopping = True
        for thread in self._threads.values():
            if thread.turns is not None:
                thread.turns.stop()
        return self._take()

    # --- Requests --------------------------------------------------------------------------------

    def handle(self, request: r.Request) -> list[c.Command]:
        """What a participant asks."""
        refused = self._refused_servers(request)
        if refused is None:
            self._isolation.admit(request, self._route)
        else:
            self._refusals.refuse(request, refused)
        return self._take()

    def _refused_servers(self, request: r.Request) -> ErrorInfo | None:
        """Why the MCP servers that a request brings along cannot be used; the turn would miss their tools."""
        if not isinstance(request, r.StartThread | r.StartTurn):
            return None
        return mcp.refusal(request.options.mcp_servers, self._setting.mcp)

    def _route(self, request: r.Request) -> None:
        match request:
            case r.StartThread():
                self._start_thread(request)
            case r.StartTurn() | r.OpenThread() | r.ChangeModel() | r.ClearThread():
                self._with_log(request)
            case r.SteerTurn() if typed.counts(self._turns(request.thread_id), request):
                self._with_log(r.StartTurn(request.envelope, request.thread_id, request.content))
            case r.SteerTurn() | r.InterruptTurn() | r.Decide() | r.AnswerClientTool() | r.AnswerSecret():
                self._to_turns(request)
            case r.CloseThread():
                self._views.close(viewer_of(request.envelope), request.thread_id)
                self._closed(request.thread_id)
            case r.Left():
                self._left(c.Viewer(request.channel, request.participant.id))
            case r.DeleteThread():
                self._delete(request)
            case r.RenameThread(_, thread_id):
                self._titles.forget(thread_id)
                self._list.handle(request, self._setting.catalogue.default)
            case r.ListCapabilities(_, thread_id) if (turns := self._turns(thread_id)) is not None:
                self._list.handle(request, turns.model)
            case _:
                self._list.handle(request, self._setting.catalogue.default)

    def _start_thread(self, request: r.StartThread) -> None:
        choice = self._setting.catalogue.resolve(request.wish, self._setting.catalogue.default)
        if isinstance(choice, ErrorInfo):
            self._refusals.thread(request, choice)
        elif self._stopping:
            self._refusals.thread(request, STOPPING)
        elif isinstance(key := self._creations.begin(request, choice), ErrorInfo):
            self._refusals.thread(request, key)
        else:
            owner = self._isolation.owner(request.envelope)
            title, asker = title_of(_named(request.content), request.name), request.envelope.sender
            self._do(c.CreateThread(key, title, owner, asker_of(asker)))

    def _with_log(self, request: LogRequest) -> None:
        """Requests that need the thread's log; the first of them opens it."""
        thread = self._threads.get(request.thread_id)
        if thread is None:
            thread = self._threads[request.thread_id] = Thread(self._speaker(request.thread_id))
            self._open_log(thread, request)
        if thread.turns is not None and thread.turns.deleted:
            self._refusals.refuse(request, not_there(request.thread_id))
            return
        if thread.opening and thread.crowded(self._setting.limits, request):
            self._refusals.refuse(
                request, ErrorInfo("Too many requests wait for this thread.", "too_many_requests")
            )
            return
        fresh = False
        if isinstance(request, r.StartTurn | r.OpenThread):  # who is refused above views nothing
            fresh = viewer_of(request.envelope) not in thread.speaker.viewers
            if not self._views.open(request.envelope, request.thread_id):
                self._refusals.refuse(
                    request, ErrorInfo("You view too many threads. Close some.", "too_many_views")
                )
                return
        if thread.turns is not None and not thread.waits(request):
            self._serve(thread, thread.turns, request, fresh)
        else:
            thread.pending.append(request)

    def _open_log(self, thread: Thread, request: LogRequest) -> None:
        thread.creating = isinstance(request, r.StartTurn) and request.create
        create = title_of(_named(request.content)) if isinstance(request, r.StartTurn) else None
        turns = request.limit if isinstance(request, r.OpenThread) else None
        self._do(c.OpenLog(request.thread_id, create if thread.creating else None, turns))

    def _serve(self, thread: Thread, turns: ThreadTurns, request: LogRequest, fresh: bool) -> None:
        match request:
            case r.StartTurn():
                self._start_turn(thread, turns, request)
            case r.OpenThread():
                self._views.show(turns, request, fresh)
            case r.ChangeModel():
                choice = self._setting.catalogue.resolve(request.wish, turns.model)
                if isinstance(choice, ErrorInfo):
                    self._refusals.refuse(request, choice)
                else:
                    turns.change_model(choice, request.envelope.message_id, viewer_of(request.envelope))
            case r.ClearThread():
                if turns.clear(request.envelope.message_id, viewer_of(request.envelope)):
                    self._titles.forget(request.thread_id)
                else:
                    self._refusals.refuse(request, BUSY)
        self._watch_idle(request.thread_id)

    def _start_turn(self, thread: Thread, turns: ThreadTurns, request: r.StartTurn) -> None:
        if self._stopping:
            self._refusals.refuse(request, STOPPING)
            return
        if (command := slash.parse(request.content)) is not None:
            if command.name is slash.CommandName.CLEAR and turns.at_rest:
                self._titles.forget(request.thread_id)  # no model is told what was cleared
            if command.name is slash.CommandName.FORK:
                self._forks.begin(turns, request, command.argument)
            elif command.name is slash.CommandName.RETRY:
                self._retries.begin(thread, turns, request, command)
            else:
                slash_turns.answer(turns, self._setting.catalogue, request, command)
            return
        if typed.answers(turns, request):
            return
        choice = self._setting.catalogue.resolve(request.wish, turns.model)
        if isinstance(choice, ErrorInfo):
            self._refusals.refuse(request, choice)
            return
        explicit = request.wish != r.ModelWish()
        turns.accept(request, viewer_of(request.envelope), choice if explicit else None)
        if thread.untitled is not False and (title := title_of(request.content)) != UNTITLED:
            if thread.untitled:
                self._do(c.NameThread(request.thread_id, title))
                self._titles.named(request.thread_id, title, request.content)
            else:
                self._titles.unsure(request.thread_id, request.content)
            thread.untitled = False

    def _to_turns(
        self, request: r.SteerTurn | r.InterruptTurn | r.Decide | r.AnswerClientTool | r.AnswerSecret
    ) -> None:
        viewer, turns = viewer_of(request.envelope), self._turns(request.thread_id)
        if turns is None:
            # Nothing runs in a thread that is not open; one without turns gives the right answer.
            turns = ThreadTurns(self._refusals.aside(request.thread_id), self._setting.catalogue.default)
        match request:
            case r.SteerTurn():
                turns.steer(request, viewer)
            case r.InterruptTurn():
                turns.interrupt(request, viewer)
            case r.Decide():
                if error := deciding.decide(turns, request):
                    self._refusals.refuse(request, error)
            case r.AnswerClientTool() | r.AnswerSecret():
                turns.answer_ask(request)

    def _left(self, viewer: c.Viewer) -> None:
        self._creations.left(viewer)
        left = self._views.leave(viewer)
        for thread in self._threads.values():
            if thread.turns is not None:
                thread.turns.left(viewer)
        for thread_id in left:
            self._closed(thread_id)

    def _closed(self, thread_id: ThreadId) -> None:
        if (turns := self._turns(thread_id)) is not None:
            turns.unwatched()
        self._watch_idle(thread_id)

    def _delete(self, request: r.DeleteThread) -> None:
        thread = self._threads.get(request.thread_id)
        if thread is not None and not (thread.idle and thread.turns is not None):
            self._refusals.refuse(request, BUSY)
            return
        self._threads.pop(request.thread_id, None)
        self._titles.forget(request.thread_id)
        self._views.close_all(request.thread_id)
        self._do(c.Delete(request))

    # --- What came of commands: threads ----------------------------------------------------------

    def thread_created(self, key: str, entry: ThreadEntry) -> list[c.Command]:
        """A thread was created and its log is open."""
        creation = self._creations.pop(key)
        request, viewer = creation.request, viewer_of(creation.request.envelope)
        source = request.envelope.message_id
        speaker = self._speaker(entry.path)
        turns = ThreadTurns(speaker, self._setting.catalogue.default)
        thread = Thread(speaker, turns, untitled=entry.name == UNTITLED)
        if not thread.untitled and title_of((), request.name) == UNTITLED:
            self._titles.named(entry.path, entry.name, request.content)
        self._threads[entry.path] = thread
        self._isolation.know(entry.path, self._isolation.owner(request.envelope))
        self._list.created(entry)
        if creation.present and self._views.open(request.envelope, entry.path):
            self._do(c.Answer(viewer, a.ThreadStarted(source, entry.path), entry.path))
        if creation.model != turns.model:
            turns.change_model(creation.model, source, viewer)
        if request.content and self._stopping:
            speaker.tell(e.TurnRejected(source, STOPPING), viewer)
        elif (command := slash.parse(request.content)) is not None:
            slash_turns.answer(turns, self._setting.catalogue, request, command, self._threads.values())
        elif request.content:
            turns.accept(request, viewer, None)
        self._watch_idle(entry.path)
        return self._take()

    def thread_forked(self, asked: c.ForkThread, made: ThreadEntry | ErrorInfo) -> list[c.Command]:
        """There is a copy of a thread, or there cannot be one."""
        if isinstance(made, ThreadEntry):
            self._isolation.know(made.path, asked.owner)
            self._list.created(made)
        thread_id = asked.request.thread_id
        self._forks.done(asked, made, self._turns(thread_id))
        self._watch_idle(thread_id)
        return self._take()

    def thread_not_created(self, key: str, error: ErrorInfo) -> list[c.Command]:
        """A thread could not be created."""
        self._refusals.thread(self._creations.pop(key).request, error)
        return self._take()

    def log_opened(
        self,
        thread_id: ThreadId,
        model: ModelChoice | None,
        usage: e.ThreadEvent | None = None,
        created: ThreadEntry | None = None,
        *,
        model_due: bool = False,
    ) -> list[c.Command]:
        """A thread's log is open; `model` is the one last chosen there, unless `model_found` tells it later,
        `usage` what was told last, `created` its entry if it is new.
        """
        thread = self._threads[thread_id]
        if created is not None:
            thread.untitled = created.name == UNTITLED
            if not thread.untitled and thread.maker is not None:
                self._titles.named(thread_id, created.name, thread.maker.content)
            self._list.created(created)
        turns = thread.turns = ThreadTurns(thread.speaker, self._known(model))
        turns.output.usage = usage
        thread.model_due = model_due
        return self._serve_pending(thread, turns, thread_id)

    def log_not_opened(self, thread_id: ThreadId, error: ErrorInfo) -> list[c.Command]:
        """A thread's log cannot be opened; everything that waited for it is refused."""
        thread = self._threads[thread_id]
        if thread.maker is not None and not thread.creating:  # it came while others asked in vain
            self._open_log(thread, thread.maker)
            return self._take()
        return self._give_up(thread, thread_id, error)

    def thread_updated(self, entry: ThreadEntry, asked: r.RenameThread | None = None) -> list[c.Command]:
        """The index entry of a thread changed."""
        if asked is not None and (thread := self._threads.get(entry.path)) is not None:
            thread.untitled = False
        self._do_if(self._titles.listed(entry) if asked is None else None)
        self._list.updated(entry, asked)
        return self._take()

    def list_changed(self, change: ListChange) -> list[c.Command]:
        """Somebody else changed the list of threads."""
        if isinstance(change, Unlisted):
            self._unlisted(change.path)
        else:
            thread = self._threads.get(change.entry.path)
            if thread is not None and change.entry.name != UNTITLED:
                thread.untitled = False
            if change.new:
                self._list.created(change.entry)
            else:
                self._list.updated(change.entry, None)
        return self._take()

    def _unlisted(self, thread_id: ThreadId) -> None:
        """A thread was removed without us: what runs in it is stopped, and nobody views it any more."""
        self._list.unlisted(thread_id)
        self._titles.forget(thread_id)
        if (turns := self._turns(thread_id)) is not None:
            turns.delete()
            self._let_go(thread_id)

    def _let_go(self, thread_id: ThreadId) -> None:
        """Close a removed thread once all its turns have ended."""
        if (turns := self._turns(thread_id)) is not None and turns.deleted and turns.idle:
            del self._threads[thread_id]
            self._views.close_all(thread_id)
            self._do(c.ReleaseThread(thread_id))

    def thread_deleted(self, request: r.DeleteThread) -> list[c.Command]:
        """A thread is gone."""
        self._list.deleted(request)
        self._isolation.forget(request.thread_id)
        return self._take()

    def owner_found(self, thread_id: ThreadId, owner: str | None) -> list[c.Command]:
        """Whose a thread is; None for nobody's."""
        self._isolation.found(thread_id, owner)
        return self._take()

    def owner_not_found(self, thread_id: ThreadId, error: ErrorInfo) -> list[c.Command]:
        """The store cannot say whose a thread is."""
        self._isolation.not_found(thread_id, error)
        return self._take()

    def list_read(
        self, request: r.ListThreads, threads: tuple[ThreadEntry, ...], total: int
    ) -> list[c.Command]:
        """A page of the index."""
        self._list.read(request, threads, total)
        return self._take()

    def request_failed(
        self, request: r.ListThreads | r.RenameThread | r.DeleteThread, error: ErrorInfo
    ) -> list[c.Command]:
        """The room refused what a participant asked."""
        self._refusals.refuse(request, error)
        return self._take()

    # --- What came of commands: turns ------------------------------------------------------------

    def turn_stored(self, thread_id: ThreadId, turn_id: TurnId, error: ErrorInfo | None) -> list[c.Command]:
        """The end of a turn is durable, or cannot be made so."""
        if (turns := self._turns(thread_id)) is not None:
            model = turns.turn_stored(turn_id, error)
            if model is not None and not self._stopping:
                self._do_if(self._titles.answered(thread_id, model.backend))
            self._watch_idle(thread_id)
            self._let_go(thread_id)
        return self._take()


def _named(content: tuple[ContentPart, ...]) -> tuple[ContentPart, ...]:
    """What a thread that begins with this can be named after: no command."""
    return () if slash.parse(content) else content
