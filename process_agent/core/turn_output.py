"""What viewers see of the turn that runs, made from what its backend says."""

from __future__ import annotations

from dataclasses import replace

from process_agent.core import asks
from process_agent.core import events as e
from process_agent.core.approval_texts import brief
from process_agent.core.approvals import Approvals
from process_agent.core.asks import Asks
from process_agent.core.ids import ItemId
from process_agent.core.live import LiveTurn
from process_agent.core.models import ModelChoice
from process_agent.core.speaker import Speaker
from process_agent.core.turn import Approval, Turn, status_of
from process_agent.core.usage import ContextWindow

NOTICE = "notice:"
"""How the ids of items begin that the supervisor writes itself: people see them, models never do."""

OF_APPROVALS = f"{NOTICE}approval:"
"""How those begin that say in words what an approval card shows: who draws the cards leaves them out."""


def compacted_text(before: ContextWindow | None) -> str:
    """What people read where the context was shortened; `before` is how full it was, if that is known."""
    if before is None or not before.used:
        return "Earlier conversation was summarised to free context."
    of = "" if before.total is None else f" of {before.total:,}"
    return f"Earlier conversation was summarised to free context: it had filled {before.used:,}{of} tokens."


def _beginning(turn: Turn) -> str:
    if turn.compact:
        return "Compacting context"
    return "Thinking" if turn.files is None else "Putting files back"


UNSAVED = "not saved yet"
"""In the status line while the room does not store what is shown."""


class TurnOutput:
    """The output of one thread's turns, one after the other. The caller sees to which turn is under way."""

    def __init__(self, speaker: Speaker) -> None:
        self.live = LiveTurn()
        self.usage: e.ThreadEvent | None = None
        """The usage told last in the thread."""
        self._filled: ModelChoice | None = None
        """Whose usage that was, if it was told in this process."""
        self.approvals = Approvals(speaker, self._tell_of_approval)
        self.asks = Asks(speaker, self._tell)
        self._speaker = speaker
        self._status = e.Status()
        self._behind = False

    def status(self, turn: Turn | None) -> e.ThreadEvent:
        """The current status line."""
        return self._speaker.make(self._status, turn)

    def begin(self, turn: Turn) -> None:
        """The backend gets the turn now."""
        turn.working = e.Working(_beginning(turn), steerable=turn.for_model)
        self.refresh(turn)

    def take(self, event: e.BackendEvent, turn: Turn) -> None:
        """One event of the turn, but its end."""
        match event:
            case e.Working():
                turn.working = replace(event, steerable=event.steerable and turn.for_model)
                self.refresh(turn)
            case e.TextDelta() | e.ReasoningDelta():
                self._text(event, turn)
            case e.ApprovalRequested() | e.ToolEnded():
                self._tool(event, turn)
            case e.ImagePartial(item_id) | e.ImageCompleted(item_id) | e.ImageFailed(item_id):
                if not self.live.is_open(item_id):  # as with texts
                    self._note(e.ImageStarted(item_id), turn)
                self._note(event, turn)
            case e.ClientToolRequested() | e.SecretRequested():
                self.asks.ask(turn, event)
                self.refresh(turn)
            case e.ClientToolCancelled():
                self.asks.withdrawn(turn, event)
                self.refresh(turn)
            case e.ContextCompacted():
                self._note(event, turn)
                self._tell(compacted_text(self._context(turn)), turn)
            case e.UsageUpdated():
                self.usage = self._note(self._priced(event, turn), turn)
                self._filled = turn.model
            case _:
                self._note(event, turn)

    def _priced(self, event: e.UsageUpdated, turn: Turn) -> e.UsageUpdated:
        """With what the catalogue knows of the model and the backend did not say."""
        model = None if turn.model is None else self._speaker.setting.catalogue.info(turn.model)
        if model is None:
            return event
        context, cost = event.context, event.cost
        if context is not None and context.total is None:
            context = replace(context, total=model.context_window)
        if cost is None and model.pricing is not None:
            cost = event.usage.cost(model.pricing)
        return replace(event, context=context, cost=cost)

    def _context(self, turn: Turn) -> ContextWindow | None:
        """How full the context was last; None after a change of the model, which has another."""
        if self._filled is not None and turn.model is not None and not turn.model.same_model(self._filled):
            return None
        body = None if self.usage is None else self.usage.body
        return body.context if isinstance(body, e.UsageUpdated) else None

    def _tell_of_approval(self, text: str, turn: Turn) -> None:
        self._tell(text, turn, OF_APPROVALS)

    def _tell(self, text: str, turn: Turn, prefix: str = NOTICE) -> None:
        """A line of the agent's own."""
        item = ItemId(prefix + self._speaker.setting.new_id())
        self._note(e.TextStarted(item, "commentary"), turn)
        self._note(e.TextDelta(item, text, "commentary"), turn)
        self._note(e.TextEnded(item, "commentary"), turn)

    def _text(self, event: e.TextDelta | e.ReasoningDelta, turn: Turn) -> None:
        if not event.text:
            return
        if not self.live.is_open(event.item_id):  # what viewers see begins with a start
            begin: e.TextStarted | e.ReasoningStarted = e.ReasoningStarted(event.item_id)
            if isinstance(event, e.TextDelta):
                begin = e.TextStarted(event.item_id, event.phase)
            self._note(begin, turn)
        self._note(event, turn)

    def _tool(self, event: e.ApprovalRequested | e.ToolEnded, turn: Turn) -> None:
        if isinstance(event, e.ApprovalRequested):
            event = self.approvals.number(turn, event)
            if self.approvals.by_rule(event) is None:  # else nobody is asked
                self._note(event, turn)
            self.approvals.ask(turn, event)
        else:
            self._decided(self.approvals.close(turn, event.ref.item_id), turn)
            self._note(event, turn)
        self.refresh(turn)

    def item_decided(self, turn: Turn, item_id: ItemId, known: bool) -> None:
        """Whether the backend still waited for a decision."""
        approval = self.approvals.close(turn, item_id)
        if known:
            self._decided(approval, turn)
        self.refresh(turn)

    def _decided(self, approval: Approval | None, turn: Turn) -> None:
        """Say what was decided, in words too where people were asked in words."""
        if approval is None or approval.decided is None:
            return
        self._note(approval.decided, turn)
        if approval.told and not approval.typed:
            self._tell_of_approval(f"{approval.decided.text} ({brief(approval.request)}).", turn)

    def refresh(self, turn: Turn) -> None:
        """Show the status line if it changed."""
        self._show_status(status_of(turn), turn)

    def saving(self, behind: bool, turn: Turn | None) -> None:
        """Whether what is shown cannot be stored for now: the status line says so until it is."""
        self._behind = behind
        self._show_status(e.Status() if turn is None else status_of(turn), turn)

    def wind_up(self, turn: Turn) -> None:
        """The turn is about to end: nothing waits any more, and what is open is closed."""
        self.waits_no_more(turn)
        for body in self.live.closing():
            self._note(body, turn)

    def waits_no_more(self, turn: Turn) -> None:
        """The backend is done with the turn, and needs nobody any more."""
        for item_id in tuple(turn.approvals):
            self._decided(self.approvals.close(turn, item_id), turn)
        self.asks.abandon(turn, asks.ENDED)

    def over(self, turn: Turn) -> None:
        """The end of the turn was shown."""
        self._show_status(e.Status(), turn)
        self.live = LiveTurn()

    def forget(self) -> None:
        """The thread was cleared."""
        self.usage = None
        self.live = LiveTurn()

    def _show_status(self, status: e.Status, turn: Turn | None) -> None:
        if self._behind:
            status = replace(status, text=UNSAVED if status.text is None else f"{status.text} · {UNSAVED}")
        if status != self._status:
            self._status = status
            self._speaker.show(self._speaker.make(status, turn))

    def _note(self, body: e.EventBody, turn: Turn) -> e.ThreadEvent:
        event = self._speaker.say(body, turn)
        self.live.note(event)
        return event
