"""The half of the supervisor's state machine that is people: what they ask, and when."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core.content import TextPart, TextResult
from process_agent.core.decisions import Decision
from process_agent.core.ids import AskId, ItemId, MessageId, ThreadId, TurnId
from process_agent.core.participants import Participant
from process_agent.core.replies import ThreadLoaded
from process_agent.core.store import Unlisted
from tests.fakes.supervised import World, person
from tests.fakes.thread_checks import (
    clears,
)

PEOPLE = [person("ana"), person("ben"), person("rob", role="agent")]
LOOK = r.ClientTool("look", {})
ASKS = [AskId("a1"), AskId("a2")]
ITEMS = [ItemId("i1"), ItemId("i2"), ItemId("i3")]
WORDS = st.sampled_from(
    [
        "hi",
        "hi",
        "/models",
        "/model gpt-5.5-mini",
        "/model gpt-5.5",
        "/model no",
        "/stop",
        "/clear",
        "/compact",
        "/diff",
        "/undo",
        "/retry",
        "/retry gpt-5.5-mini",
    ]
)
TEXTS = st.sampled_from(["a", "b", "ab", "\n"])


class People(RuleBasedStateMachine):
    """What people ask, in any order, of a supervisor whose world does nothing by itself.

    `at_once` says that nothing asked of a thread waits to hear whose it is.
    """

    at_once = True

    def __init__(self) -> None:
        super().__init__()
        self.world = self.a_world()
        self.open: dict[tuple[TurnId, ItemId], str] = {}
        self.loads: dict[MessageId, tuple[Participant, ThreadId]] = {}
        self.unlisted: set[ThreadId] = set()
        """While their turns end, who opens them is refused."""
        self.paging: list[tuple[Participant, ThreadId]] = []
        self.interrupted: set[TurnId] = set()
        self.asked: dict[tuple[TurnId, AskId], str] = {}

    def a_world(self) -> World:
        return World()

    # --- People ----------------------------------------------------------------------------------

    @rule(who=st.sampled_from(PEOPLE), text=st.just("") | WORDS, tools=st.sampled_from([(), (LOOK,)]))
    def start_thread(self, who: Participant, text: str, tools: tuple[r.ClientTool, ...]) -> None:
        if len(self.world.logs) < 3:
            self.world.start_thread(who, text, r.TurnOptions(None, tools))

    @precondition(lambda self: self.world.logs)
    @rule(who=st.sampled_from(PEOPLE), data=st.data())
    def start_turn(self, who: Participant, data: st.DataObject) -> None:
        thread_id = self._thread(data)
        tools = (LOOK,) if data.draw(st.booleans()) else ()
        options = r.TurnOptions(None, tools, attended=data.draw(st.booleans()))
        self.world.start_turn(who, thread_id, data.draw(WORDS), options)
        if data.draw(st.booleans()):
            self.world.start_turn(who, thread_id, data.draw(WORDS))

    @precondition(lambda self: self.world.logs)
    @rule(who=st.sampled_from(PEOPLE), data=st.data(), load=st.booleans())
    def open_thread(self, who: Participant, data: st.DataObject, load: bool) -> None:
        thread_id = self._thread(data)
        request = r.OpenThread(self.world.envelope(who), thread_id, load)
        if load and (who, thread_id) not in self.paging:
            self.loads[request.envelope.message_id] = (who, thread_id)
        before = len(self.world.logs[thread_id])
        self.world.ask(request)
        assert len(self.world.logs[thread_id]) == before  # opening writes nothing

    @precondition(lambda self: self.world.logs)
    @rule(who=st.sampled_from(PEOPLE), data=st.data(), limit=st.integers(1, 3))
    def page(self, who: Participant, data: st.DataObject, limit: int) -> None:
        thread_id = self._thread(data)
        known = [x.older for x in self.world.got(who).replies if isinstance(x, ThreadLoaded) and x.older]
        before = data.draw(st.sampled_from(known)) if known else None
        request = r.OpenThread(
            self.world.envelope(who), thread_id, before is None, before=before, limit=limit
        )
        self.world.ask(request)
        self.paging.append((who, thread_id))  # it sees a part, or a part again
        self.loads = {k: v for k, v in self.loads.items() if v != (who, thread_id)}

    @precondition(lambda self: self.world.logs)
    @rule(who=st.sampled_from(PEOPLE), data=st.data())
    def close_thread(self, who: Participant, data: st.DataObject) -> None:
        thread_id = self._thread(data)
        self.world.ask(r.CloseThread(self.world.envelope(who), thread_id))
        self.loads = {k: v for k, v in self.loads.items() if v != (who, thread_id)}
        self.paging = [x for x in self.paging if x != (who, thread_id)]

    @rule(who=st.sampled_from(PEOPLE))
    def leave(self, who: Participant) -> None:
        self.world.ask(r.Left(who, "chat"))
        self.loads = {k: v for k, v in self.loads.items() if v[0] != who}
        self.paging = [x for x in self.paging if x[0] != who]

    @precondition(lambda self: self.world.logs)
    @rule(who=st.sampled_from(PEOPLE), data=st.data())
    def steer(self, who: Participant, data: st.DataObject) -> None:
        thread_id = self._thread(data)
        content = (TextPart(data.draw(WORDS)),)
        self.world.ask(r.SteerTurn(self.world.envelope(who), thread_id, self._turn(data, thread_id), content))

    @precondition(lambda self: self.world.logs)
    @rule(who=st.sampled_from(PEOPLE), data=st.data())
    def interrupt(self, who: Participant, data: st.DataObject) -> None:
        thread_id = self._thread(data)
        turn_id = self._turn(data, thread_id)
        self.interrupted.add(turn_id)
        request = r.InterruptTurn(self.world.envelope(who), thread_id, turn_id)
        self.world.ask(request)
        answered = [event.body for event in self.world.got(who).events]
        assert not self.at_once or e.InterruptAccepted(request.envelope.message_id) in answered

    @precondition(lambda self: self.world.logs)
    @rule(
        who=st.sampled_from(PEOPLE), data=st.data(), model=st.sampled_from(["gpt-5.5", "gpt-5.5-mini", "no"])
    )
    def change_model(self, who: Participant, data: st.DataObject, model: str) -> None:
        thread_id = self._thread(data)
        self.world.ask(r.ChangeModel(self.world.envelope(who), thread_id, r.ModelWish(model=model)))

    @precondition(lambda self: self.world.running())
    @rule(
        who=st.sampled_from(PEOPLE),
        data=st.data(),
        item=st.sampled_from(ITEMS),
        decision=st.sampled_from(Decision),
    )
    def decide(self, who: Participant, data: st.DataObject, item: ItemId, decision: Decision) -> None:
        thread_id, turn_id = data.draw(st.sampled_from(self.world.running()))
        decisions = sum(isinstance(o, c.DecideItem) for o in self.world.outstanding)
        self.world.ask(r.Decide(self.world.envelope(who), thread_id, turn_id, item, decision))
        if who.role != "user":
            assert sum(isinstance(o, c.DecideItem) for o in self.world.outstanding) == decisions

    @precondition(lambda self: self.world.logs)
    @rule(who=st.sampled_from(PEOPLE), data=st.data())
    def clear(self, who: Participant, data: st.DataObject) -> None:
        thread_id = self._thread(data)
        request = r.ClearThread(self.world.envelope(who), thread_id)
        self.world.ask(request)
        if any(running == thread_id for running, _ in self.world.running()):
            assert not any(clears(x, request) for x in self.world.logs[thread_id])

    @precondition(lambda self: len(self.world.logs) > 1)
    @rule(who=st.sampled_from(PEOPLE), data=st.data())
    def delete(self, who: Participant, data: st.DataObject) -> None:
        thread_id = self._thread(data)
        self.world.ask(r.DeleteThread(self.world.envelope(who), thread_id))
        if any(isinstance(o, c.Delete) and o.request.thread_id == thread_id for o in self.world.outstanding):
            self.world.settle()

    @precondition(lambda self: self.world.logs)
    @rule(data=st.data(), often=st.integers(0, 3))
    def a_client_unlists(self, data: st.DataObject, often: int) -> None:
        thread_id = self._thread(data)
        if often == 0:
            self.unlisted.add(thread_id)
            self.loads = {k: v for k, v in self.loads.items() if v[1] != thread_id}  # views will be closed
            self.world.carry_out(self.world.supervisor.list_changed(Unlisted(thread_id)))

    @precondition(lambda self: self._questions())
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self._answer(data, *data.draw(st.sampled_from(self._questions())))

    def _answer(self, data: st.DataObject, thread_id: ThreadId, turn_id: TurnId, ask: AskId) -> None:
        """Somebody answers, in the right kind or in another."""
        who, odd = data.draw(st.sampled_from(PEOPLE)), data.draw(st.sampled_from([False, False, True]))
        envelope = self.world.envelope(who)
        answered = self.world.answered.get((turn_id, ask))
        if (self.asked[turn_id, ask] == "secret") != odd:
            self.world.ask(r.AnswerSecret(envelope, thread_id, turn_id, ask, r.Secret(who.id)))
        else:
            self.world.ask(r.AnswerClientTool(envelope, thread_id, turn_id, ask, TextResult(who.id)))
        if self.world.answered.get((turn_id, ask)) is not answered:
            assert self._sender(thread_id, turn_id) == who.id
            assert not odd

    def _questions(self) -> list[tuple[ThreadId, TurnId, AskId]]:
        """What running turns asked, answered or not."""
        running = self.world.running()
        return [(thread, turn, ask) for thread, turn in running for of, ask in self.asked if of == turn]

    def _thread(self, data: st.DataObject) -> ThreadId:
        return data.draw(st.sampled_from(sorted(self.world.logs)))

    def _turn(self, data: st.DataObject, thread_id: ThreadId) -> TurnId:
        known = {event.turn_id for event in self.world.logs[thread_id] if event.turn_id}
        return data.draw(st.sampled_from([*sorted(known), TurnId("unknown")]))

    def _sender(self, thread_id: ThreadId, turn_id: TurnId | None) -> str:
        log = self.world.logs[thread_id]
        name = next(
            x.body.sender_name for x in log if x.turn_id == turn_id and isinstance(x.body, e.TurnAccepted)
        )
        return f"id-{name}"
