"""The supervisor as a state machine: whatever people, backends, the room and the clock do, in any order,

- each accepted turn ends exactly once, and turns of a thread start in the order they were accepted,
- a command is a whole turn at once, in one piece, and no backend hears of it; what it asks of the workspace
  is a whole turn too, and files are put back while nothing else runs in the thread,
- at most one turn of a thread runs,
- what a turn asks of its sender reaches nobody else; the backend hears the sender's answer, or why not, once,
- events of a thread go to its viewers only, replies to those who asked,
- a thread is cleared only while nothing runs or waits in it, and what was before is gone for everybody,
- each viewer that loads a thread sees exactly what is in its log, each thing once.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, GeneratedImage
from process_agent.core.ids import AskId, ItemId, MessageId, ThreadId, TurnId
from process_agent.core.participants import Participant
from process_agent.core.replies import RequestRejected, ThreadLoaded
from process_agent.core.slash import parse
from process_agent.core.usage import Usage
from tests.fakes.supervised import cleared_at
from tests.fakes.supervisor_people import ASKS, ITEMS, PEOPLE, TEXTS, People
from tests.fakes.thread_checks import (
    CLEARING,
    DIRECT,
    FOR_ONE,
    WHOLE_TURN,
    about_files,
    commands,
    images,
    items_are_closed,
    plain,
    texts,
)

IMAGE = ItemId("image")


class Machine(People):
    # --- The backend -----------------------------------------------------------------------------

    @precondition(lambda self: self.world.running())
    @rule(data=st.data(), item=st.sampled_from(ITEMS), text=TEXTS)
    def write(self, data: st.DataObject, item: ItemId, text: str) -> None:
        thread_id, turn_id = data.draw(st.sampled_from(self.world.running()))
        kind = self.open.get((turn_id, item))
        if kind is None:
            self.open[turn_id, item] = "text"
            self.world.backend(thread_id, turn_id, e.TextStarted(item))
        if kind in (None, "text"):
            self.world.backend(thread_id, turn_id, e.TextDelta(item, text))

    @precondition(lambda self: self.world.running())
    @rule(data=st.data(), item=st.sampled_from(ITEMS))
    def use_tool(self, data: st.DataObject, item: ItemId) -> None:
        thread_id, turn_id = data.draw(st.sampled_from(self.world.running()))
        ref = e.ToolRef(item, "codex", "shell")
        kind = self.open.get((turn_id, item))
        if kind is None and data.draw(st.booleans()):
            self.world.backend(thread_id, turn_id, e.ToolArguments(ref, data.draw(TEXTS)))
        elif kind is None:
            self.open[turn_id, item] = "tool"
            self.world.backend(thread_id, turn_id, e.ToolStarted(ref, {}))
        elif kind == "tool":
            self.world.backend(thread_id, turn_id, e.ApprovalRequested(ref, {}))

    @precondition(lambda self: self.world.running())
    @rule(data=st.data(), step=st.sampled_from(["start", "partial", "done", "failed"]))
    def draw(self, data: st.DataObject, step: str) -> None:
        thread_id, turn_id = data.draw(st.sampled_from(self.world.running()))
        events: dict[str, e.BackendEvent] = {
            "start": e.ImageStarted(IMAGE),
            "partial": e.ImagePartial(IMAGE, GeneratedImage("data:,"), 0),
            "done": e.ImageCompleted(IMAGE, (GeneratedImage("data:,"),)),
            "failed": e.ImageFailed(IMAGE, ErrorInfo("no", "failed")),
        }
        if (turn_id, IMAGE) not in self.open:
            self.world.backend(thread_id, turn_id, events[step])
        if step in ("done", "failed"):
            self.open[turn_id, IMAGE] = "done"

    @precondition(lambda self: self.world.running())
    @rule(data=st.data(), item=st.sampled_from(ITEMS))
    def end_item(self, data: st.DataObject, item: ItemId) -> None:
        thread_id, turn_id = data.draw(st.sampled_from(self.world.running()))
        kind = self.open.get((turn_id, item))
        if kind == "text":
            self.world.backend(thread_id, turn_id, e.TextEnded(item))
        elif kind == "tool":
            self.world.backend(thread_id, turn_id, e.ToolEnded(e.ToolRef(item, "codex", "shell")))
        if kind is not None:
            self.open[turn_id, item] = "done"

    @precondition(lambda self: self.world.running())
    @rule(
        data=st.data(),
        ask=st.sampled_from(ASKS),
        what=st.sampled_from(["look", "unknown", "secret", "never mind"]),
    )
    def ask_the_sender(self, data: st.DataObject, ask: AskId, what: str) -> None:
        thread_id, turn_id = data.draw(st.sampled_from(self.world.running()))
        if what == "never mind":
            self.world.backend(thread_id, turn_id, e.ClientToolCancelled(ask, "look", what))
        elif (turn_id, ask) not in self.asked:
            self.asked[turn_id, ask] = what
            event = (
                e.SecretRequested(ask, "key") if what == "secret" else e.ClientToolRequested(ask, what, {})
            )
            self.world.backend(thread_id, turn_id, event)
            for _ in range(data.draw(st.integers(0, 3))):
                self._answer(data, thread_id, turn_id, ask)

    @precondition(lambda self: self.world.running())
    @rule(data=st.data(), tokens=st.integers(0, 9))
    def use_tokens(self, data: st.DataObject, tokens: int) -> None:
        thread_id, turn_id = data.draw(st.sampled_from(self.world.running()))
        self.world.backend(thread_id, turn_id, e.UsageUpdated(Usage(tokens)))

    @precondition(lambda self: self.world.running())
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        thread_id, turn_id = data.draw(st.sampled_from(self.world.running()))
        self.world.backend(thread_id, turn_id, e.ContextCompacted(self.world.new_id(), automatic=True))

    @precondition(lambda self: self.world.running())
    @rule(data=st.data(), reason=st.sampled_from(e.EndReason))
    def end_turn(self, data: st.DataObject, reason: e.EndReason) -> None:
        thread_id, turn_id = data.draw(st.sampled_from(self.world.running()))
        self.world.backend_done(turn_id)
        self.world.backend(thread_id, turn_id, e.TurnEnded(reason))
        # A backend that says more is not heard.
        self.world.backend(thread_id, turn_id, e.TextDelta(ItemId("late"), "x"), e.TurnEnded(reason))
        if data.draw(st.booleans()):
            for command in [
                o for o in self.world.outstanding if isinstance(o, c.SteerBackend | c.StoreTurnEnd)
            ]:
                self._happen(command)

    @precondition(lambda self: self.world.running())
    @rule(data=st.data())
    def lose_backend(self, data: st.DataObject) -> None:
        thread_id, turn_id = data.draw(st.sampled_from(self.world.running()))
        self.world.backend_done(turn_id)
        gone = ErrorInfo("gone", "backend_lost")
        self.world.carry_out(self.world.supervisor.backend_lost(thread_id, turn_id, gone))

    # --- The world -------------------------------------------------------------------------------

    @precondition(lambda self: self._waiting())
    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        self._happen(data.draw(st.sampled_from(self._waiting())))

    @precondition(lambda self: any(isinstance(o, c.SteerBackend) for o in self.world.outstanding))
    @rule()
    def steer_refused(self) -> None:
        steer = self.world.take(c.SteerBackend)
        assert isinstance(steer, c.SteerBackend)
        error = ErrorInfo("no", "turn_ended")
        self.world.carry_out(
            self.world.supervisor.steer_decided(steer.thread_id, steer.turn_id, steer.source, error)
        )

    @precondition(lambda self: self.world.timers)
    @rule(data=st.data())
    def timer_fires(self, data: st.DataObject) -> None:
        timer = data.draw(st.sampled_from(list(self.world.timers)))
        del self.world.timers[timer]
        self.world.carry_out(self.world.supervisor.timer_fired(timer))

    @rule(often=st.integers(0, 5))
    def the_agent_is_killed(self, often: int) -> None:
        if often == 0:
            self.world.restart()
            self.loads.clear()
            self.paging.clear()

    def _waiting(self) -> list[c.Command]:
        return [o for o in self.world.outstanding if not isinstance(o, c.RunTurn)]

    def _happen(self, command: c.Command) -> None:
        if isinstance(command, c.InterruptBackend):
            self.world.outstanding.remove(command)
            run = next((o for o in self.world.running() if o[1] == command.turn_id), None)
            if run is not None:
                self.world.backend_done(command.turn_id)
                self.world.backend(*run, e.TurnEnded(e.EndReason.INTERRUPTED))
        elif isinstance(command, c.Replay) and command.thread_id not in self.world.logs:
            self.world.outstanding.remove(command)
            self.world.carry_out(self.world.supervisor.replay_ended(command.replay_id))
        else:
            done = len(self.world.done)
            self.world.happen(command)
            if isinstance(command, c.StoreTurnEnd):
                self._the_running_turn_has_its_status(command, self.world.done[done:])

    def _the_running_turn_has_its_status(self, command: c.StoreTurnEnd, done: list[c.Command]) -> None:
        """Clients clear their status at any turn's end, so that of the running turn comes after it."""
        running = [turn_id for thread_id, turn_id in self.world.running() if thread_id == command.thread_id]
        told = [x.event for x in done if isinstance(x, c.Emit) and isinstance(x.event.body, CLEARING)]
        if running and told:
            assert isinstance(told[-1].body, e.Status)
            assert told[-1].body.text is not None
            assert told[-1].turn_id == running[0]

    # --- What always holds -----------------------------------------------------------------------

    @invariant()
    def one_turn_runs_in_a_thread(self) -> None:
        outstanding = self.world.outstanding
        putting_back = [o for o in outstanding if isinstance(o, c.AskWorkspace) and o.command.writes]
        counts = Counter(thread_id for thread_id, _ in self.world.running())
        counts.update(o.thread_id for o in putting_back)
        assert all(count == 1 for count in counts.values())

    @invariant()
    def turns_end_once_and_start_in_order(self) -> None:
        for log in self.world.logs.values():
            accepted = [x.turn_id for x in log if isinstance(x.body, e.TurnAccepted)]
            started = [x.turn_id for x in log if isinstance(x.body, e.TurnStarted)]
            ended = [x.turn_id for x in log if isinstance(x.body, e.TurnEnded)]
            assert len(set(accepted)) == len(accepted)
            assert len(set(started)) == len(started)
            assert len(set(ended)) == len(ended)
            assert set(ended) <= set(accepted)
            for_models = [turn for turn in started if turn not in commands(log)]
            assert for_models == [turn for turn in accepted if turn in for_models]

    @invariant()
    def commands_are_whole_turns_at_once(self) -> None:
        for log in self.world.logs.values():
            for turn_id in commands(log) - about_files(log):
                told = [x for x in log if x.turn_id == turn_id]
                assert [type(x.body) for x in told] == WHOLE_TURN
                assert told[-1].body == e.TurnEnded(e.EndReason.COMPLETED)
        for command in self.world.outstanding:
            if isinstance(command, c.RunTurn):
                assert parse(command.turn.content) is None
                assert command.turn.compact or command.turn.content
            elif isinstance(command, c.SteerBackend):
                assert parse(command.content) is None

    @invariant()
    def every_item_of_a_log_is_started_once(self) -> None:
        for log in self.world.logs.values():
            started = Counter((x.turn_id, x.body.item_id) for x in log if isinstance(x.body, e.TextStarted))
            assert all(count == 1 for count in started.values())

    @invariant()
    def events_go_to_viewers(self) -> None:
        for _, event in self.world.strays:
            assert isinstance(event.body, (*DIRECT, *FOR_ONE))

    @invariant()
    def what_is_asked_of_one_is_for_nobody_else(self) -> None:
        for who in PEOPLE:
            for event in self.world.got(who).events:
                if isinstance(event.body, FOR_ONE) and event.thread_id in self.world.logs:
                    assert self._sender(event.thread_id, event.turn_id) == who.id
        for log in self.world.logs.values():
            assert not any(isinstance(x.body, FOR_ONE) for x in log)

    @invariant()
    def nothing_follows_the_end_of_a_turn(self) -> None:
        for log in self.world.logs.values():
            ended: set[TurnId | None] = set()
            for event in log:
                assert event.turn_id is None or event.turn_id not in ended
                if isinstance(event.body, e.TurnEnded):
                    ended.add(event.turn_id)

    def teardown(self) -> None:
        """The agent stops: everything that was accepted ends, and everybody who loaded sees it all."""
        self.world.carry_out(self.world.supervisor.stop())
        for _ in range(10_000):
            if not (waiting := self._waiting()):
                break
            self._happen(waiting[0])
        assert not self.world.running()
        assert not any(timer.kind is c.TimerKind.ASK for timer in self.world.timers)
        assert self.world.supervisor.idle
        assert self.world.setting.waiting.size == 0
        for log in self.world.logs.values():
            accepted = [x.turn_id for x in log if isinstance(x.body, e.TurnAccepted)]
            ended = [x.turn_id for x in log if isinstance(x.body, e.TurnEnded)]
            assert sorted(map(str, accepted)) == sorted(map(str, ended))
            items_are_closed(log)
        for source, (who, thread_id) in self.loads.items():
            if thread_id in self.world.logs:
                self._saw_everything(source, who, thread_id)

    def _saw_everything(self, source: MessageId, who: Participant, thread_id: ThreadId) -> None:
        began = self.world.loads_began.get((c.Viewer("chat", who.id), thread_id), 0)
        sent = self.world.got(who).all[began:]
        loaded = [x for x in sent if isinstance(x, ThreadLoaded) and x.source == source]
        still = (c.Viewer("chat", who.id), thread_id) in self.world.views
        others = sum(x == (who, thread_id) for x in self.loads.values())
        if not still or others > 1:
            return
        if any(isinstance(x, RequestRejected) and x.source == source for x in sent):
            assert thread_id in self.unlisted
            return
        assert len(loaded) == 1
        seen = [x for x in sent if isinstance(x, e.ThreadEvent) and x.thread_id == thread_id]
        log = self.world.logs[thread_id]
        seen, log = seen[cleared_at(seen) :], log[cleared_at(log) :]
        assert texts(seen) == texts(log)
        assert images(seen) == images(log)
        assert not {x.message_id for x in plain(log)} - {x.message_id for x in plain(seen)} - self._own(who)
        counts = Counter(x.message_id for x in plain(seen))
        assert all(count == 1 for count in counts.values()), counts

    def _own(self, who: Participant) -> set[MessageId]:
        """Ids of requests, which those who made them are not told."""
        said = (
            x.message_id
            for log in self.world.logs.values()
            for x in log
            if isinstance(x.body, e.TurnRequested | e.SteerRequested) and x.body.sender_name == who.name
        )
        return set(said)


pytestmark = pytest.mark.timeout(240)
"""Ten seconds of work, which take a minute where the machine is shared."""

Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestSupervisor = Machine.TestCase
