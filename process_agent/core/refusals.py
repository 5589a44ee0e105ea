"""Says no to a request, in the form in which its client hears it."""

from __future__ import annotations

from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.commands import Answer, Viewer, Warn
from process_agent.core.content import ErrorInfo
from process_agent.core.events import SteerRejected, TurnRejected
from process_agent.core.ids import ThreadId
from process_agent.core.speaker import Out, Setting, Speaker
from process_agent.core.threads import viewer_of
from process_agent.core.viewers import ThreadViewers


class Refusals:
    """The refusals of one agent; they go to the one who asked, and are stored nowhere."""

    def __init__(self, setting: Setting, out: Out) -> None:
        self._setting = setting
        self._out = out

    def aside(self, thread_id: ThreadId) -> Speaker:
        """Speaks about a thread to those it names only."""
        return Speaker(thread_id, self._setting, ThreadViewers(), self._out, _nobody_to_drop)

    def thread(self, request: r.StartThread, error: ErrorInfo) -> None:
        """No thread is made."""
        viewer, source = viewer_of(request.envelope), request.envelope.message_id
        self._out(Answer(viewer, a.ThreadStartRejected(source, error)))
        self.aside(ThreadId("")).tell(TurnRejected(source, error), viewer)

    def refuse(self, request: r.Request, error: ErrorInfo) -> None:
        """Any other request."""
        match request:
            case r.StartThread():
                self.thread(request, error)
            case r.StartTurn(envelope, thread_id):
                self.aside(thread_id).tell(TurnRejected(envelope.message_id, error), viewer_of(envelope))
            case r.SteerTurn(envelope, thread_id, turn_id):
                rejected_steer = SteerRejected(envelope.message_id, error)
                self.aside(thread_id).tell(rejected_steer, viewer_of(envelope), turn_id)
            case r.OpenThread(envelope, thread_id, load, since, before):
                rejected = a.RequestRejected(envelope.message_id, thread_id, error)
                self._out(Answer(viewer_of(envelope), rejected, thread_id))
                if load or before is not None:  # clients refuse to send until they hear that loading is over
                    loaded = a.ThreadLoaded(envelope.message_id, thread_id, since)
                    self._out(Answer(viewer_of(envelope), loaded, thread_id))
            case r.ListThreads(envelope) | r.WatchThreads(envelope):
                rejected = a.RequestRejected(envelope.message_id, ThreadId(""), error)
                self._out(Answer(viewer_of(envelope), rejected))
            case (
                r.RenameThread(envelope, thread_id)
                | r.DeleteThread(envelope, thread_id)
                | r.ChangeModel(envelope, thread_id)
                | r.ClearThread(envelope, thread_id)
                | r.ListCapabilities(envelope, thread_id)
                | r.InterruptTurn(envelope, thread_id)
                | r.Decide(envelope, thread_id)
                | r.AnswerClientTool(envelope, thread_id)
                | r.AnswerSecret(envelope, thread_id)
            ):
                rejected = a.RequestRejected(envelope.message_id, thread_id, error)
                self._out(Answer(viewer_of(envelope), rejected, thread_id))
            case _:
                self._out(Warn(f"cannot refuse {type(request).__name__}: {error.message}"))


def _nobody_to_drop(_viewer: Viewer, _thread_id: ThreadId) -> None:
    """Without viewers, none is too slow."""
