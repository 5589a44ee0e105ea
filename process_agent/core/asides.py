"""Turns of a thread beside the one that runs: no backend has to do with them, and they leave it alone."""

from __future__ import annotations

from collections.abc import Callable

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core.admission import Admission
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import ItemId, TurnId
from process_agent.core.requests import StartThread, StartTurn
from process_agent.core.speaker import Speaker
from process_agent.core.turn import Turn
from process_agent.core.turn_output import NOTICE
from process_agent.core.usage import UsageQuestion
from process_agent.core.workspace import FileCommand


class Asides:
    """Those of one thread. `finish` ends a turn; `ending` says how many ends are being stored."""

    def __init__(
        self,
        speaker: Speaker,
        admission: Admission,
        finish: Callable[[Turn, e.TurnEnded], None],
        ending: Callable[[], int],
    ) -> None:
        self._speaker = speaker
        self._admission = admission
        self._finish = finish
        self._ending = ending
        self._asked: dict[TurnId, Turn] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def answer(
        self,
        request: StartTurn | StartThread,
        viewer: c.Viewer,
        reply: Callable[[], str],
        *,
        act_first: bool = False,
        notice: bool = False,
    ) -> None:
        """A whole turn at once; `reply` acts and says what it did, with `act_first` before the turn is
        announced. A `notice` is for people: models hear of the message and not of the reply.
        """
        if not self.answers(request, viewer):
            return
        text = reply() if act_first else None
        turn = self._begin(request, viewer)
        text = reply() if text is None else text
        item = ItemId((NOTICE if notice else "") + self._speaker.setting.new_id())
        for body in (
            e.TextStarted(item, "final_answer"),
            e.TextDelta(item, text, "final_answer"),
            e.TextEnded(item, "final_answer"),
        ):
            self._speaker.say(body, turn)
        self._finish(turn, e.TurnEnded(e.EndReason.COMPLETED))

    def answers(self, request: StartTurn | StartThread, viewer: c.Viewer) -> bool:
        """Whether `answer` would do anything; when it would not, the one who asked is told why."""
        return self._admission.allows(request, viewer, self._ending())

    def look(
        self, request: StartTurn | StartThread, viewer: c.Viewer, command: FileCommand | UsageQuestion
    ) -> None:
        """A whole turn that is answered in its own time from outside; it changes nothing."""
        if self._admission.allows(request, viewer, len(self) + self._ending()):
            turn = self._begin(request, viewer)
            self._asked[turn.id] = turn
            self._speaker.out(c.AskWorkspace(self._speaker.thread_id, turn.id, command))

    def take(self, turn_id: TurnId, event: e.BackendEvent) -> bool:
        """What the workspace says in a turn; False when it is none of these."""
        turn = self._asked.get(turn_id)
        if turn is None:
            return False
        if isinstance(event, e.TurnEnded):
            del self._asked[turn_id]
            self._finish(turn, event)
        else:
            self._speaker.say(event, turn)
        return True

    def lost(self, turn_id: TurnId, error: ErrorInfo) -> bool:
        """The workspace stopped without an answer; False when it is none of these turns."""
        return self.take(turn_id, e.TurnEnded(e.EndReason.FAILED, error))

    def _begin(self, request: StartTurn | StartThread, viewer: c.Viewer) -> Turn:
        turn = self._admission.admit(request, viewer, None)
        self._admission.started(turn)
        return turn
