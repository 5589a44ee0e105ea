"""Deciders as a state machine: whoever decides whatever, with cards or in words, early, late and at once,

- only who may decide does, and what no participant may decide nobody does,
- each request is decided once at most, with a decision it offered and answers that fit its questions,
- what the log says was decided is what the backend was told, by the one who did it,
- a request that waits has its time limit and its status, and nothing waits after the end.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core.content import TextPart
from process_agent.core.decisions import EVERY, YES_OR_NO, Decision, Option, Question, check_answer
from process_agent.core.ids import ItemId, TurnId
from process_agent.core.participants import Participant
from process_agent.core.turn_output import OF_APPROVALS
from tests.fakes.supervised import World, person

ANA = person("ana")
PEOPLE = [ANA, person("ben"), person("rob", role="agent"), person("program", role="tool")]
DECIDERS = frozenset({"ana"})
"""Of those who are named: ben is not, rob is an agent, and a tool is nobody."""

ITEMS = [ItemId("i1"), ItemId("i2"), ItemId("i3")]
WHICH = Question("which", "Which?", options=(Option("a"), Option("b")), free=False)
WHAT = Question("what", "What?", required=False)
WORDS = st.sampled_from(
    [
        *("/approve", "/approve session", "/approve all", "/approve 1", "/approve 2", "/approve it"),
        *("/deny", "/deny all", "/deny cancel", "/stop", "1", "-", "b", "no option"),
    ]
)
ANSWERS = st.fixed_dictionaries(
    {}, optional={"which": st.sampled_from([("a",), ("c",), ("a", "b"), ()]), "what": st.just(("x",))}
)


class Deciding(RuleBasedStateMachine):
    @initialize()
    def a_turn_runs(self) -> None:
        self.world = World(approvers=("ana", "rob", "program"))
        self.offered: dict[tuple[TurnId, ItemId], e.ApprovalRequested] = {}
        self.deciders: dict[tuple[TurnId, ItemId], str | None] = {}
        self.over: set[tuple[TurnId, ItemId]] = set()
        self.world.start_thread(ANA, "go")
        self.world.settle()
        self.thread_id = next(iter(self.world.logs))
        for who in PEOPLE[1:]:
            self.world.ask(r.OpenThread(self.world.envelope(who), self.thread_id))

    @property
    def turn_id(self) -> TurnId | None:
        return next((turn for _, turn in self.world.running()), None)

    # --- What happens ----------------------------------------------------------------------------

    @precondition(lambda self: self.turn_id)
    @rule(
        item=st.sampled_from(ITEMS),
        decisions=st.sampled_from([YES_OR_NO, EVERY]),
        questions=st.sampled_from([(), (), (WHICH,), (WHICH, WHAT)]),
    )
    def ask(self, item: ItemId, decisions: tuple[Decision, ...], questions: tuple[Question, ...]) -> None:
        turn_id = self.turn_id
        assert turn_id is not None
        if (turn_id, item) in self.offered:
            return  # a backend asks about an item once
        ref = e.ToolRef(item, "codex", "shell")
        request = e.ApprovalRequested(ref, {"command": item}, None, decisions, questions)
        self.offered[turn_id, item] = request
        self.world.backend(self.thread_id, turn_id, e.ToolStarted(ref, {}), request)

    @rule(
        who=st.sampled_from(PEOPLE),
        item=st.sampled_from(ITEMS),
        decision=st.sampled_from(Decision),
        answers=ANSWERS,
    )
    def use_the_card(
        self, who: Participant, item: ItemId, decision: Decision, answers: dict[str, tuple[str, ...]]
    ) -> None:
        turn_id = self.turn_id or TurnId("none")
        envelope = self.world.envelope(who)
        self._by(who, r.Decide(envelope, self.thread_id, turn_id, item, decision, answers))

    @rule(who=st.sampled_from(PEOPLE), text=WORDS, steer=st.booleans())
    def type(self, who: Participant, text: str, steer: bool) -> None:
        envelope, content = self.world.envelope(who), (TextPart(text),)
        if steer:
            turn_id = self.turn_id or TurnId("none")
            self._by(who, r.SteerTurn(envelope, self.thread_id, turn_id, content))
        else:
            self._by(who, r.StartTurn(envelope, self.thread_id, content))

    @rule(at=st.integers(0, 9))
    def time_runs_out(self, at: int) -> None:
        timers = [timer for timer in self.world.timers if timer.kind is c.TimerKind.APPROVAL]
        if timers:
            timer = timers[at % len(timers)]
            del self.world.timers[timer]
            self._by(None, timer)

    @rule(at=st.integers(0, 9), known=st.booleans())
    def the_backend_hears(self, at: int, known: bool) -> None:
        told = [o for o in self.world.outstanding if isinstance(o, c.DecideItem)]
        if told:
            command = told[at % len(told)]
            self.world.outstanding.remove(command)
            self.world.carry_out(
                self.world.supervisor.item_decided(command.thread_id, command.turn_id, command.item_id, known)
            )

    @precondition(lambda self: self.turn_id)
    @rule(item=st.sampled_from(ITEMS))
    def an_item_ends(self, item: ItemId) -> None:
        turn_id = self.turn_id
        assert turn_id is not None
        if (turn_id, item) in self.offered and (turn_id, item) not in self.over:
            self.over.add((turn_id, item))
            self.world.backend(self.thread_id, turn_id, e.ToolEnded(e.ToolRef(item, "codex", "shell")))

    @precondition(lambda self: self.turn_id)
    @rule(reason=st.sampled_from(e.EndReason), another=st.booleans())
    def the_turn_ends(self, reason: e.EndReason, another: bool) -> None:
        turn_id = self.turn_id
        assert turn_id is not None
        self.world.backend_done(turn_id)
        self.world.backend(self.thread_id, turn_id, e.TurnEnded(reason))
        self.over |= {key for key in self.offered if key[0] == turn_id}
        if another:
            self.world.start_turn(ANA, self.thread_id, "again")
        self.world.settle()

    def _by(self, who: Participant | None, what: r.Request | c.Timer) -> None:
        """Somebody, or the clock, does something; whatever is decided then is theirs."""
        before = len(self.world.done)
        if isinstance(what, c.Timer):
            self.world.carry_out(self.world.supervisor.timer_fired(what))
        else:
            self.world.ask(what)
            self.world.settle()
        for told in [x for x in self.world.done[before:] if isinstance(x, c.DecideItem)]:
            key = told.turn_id, told.item_id
            assert key not in self.deciders
            assert key not in self.over
            self.deciders[key] = None if who is None else who.name
            if who is None:
                assert told.decision is Decision.UNANSWERED
            else:
                assert who.name in DECIDERS
                assert told.decision in self.offered[key].decisions
            for question in self.offered[key].questions if told.decision.accepts else ():
                given = tuple(told.answers[question.id])
                assert check_answer(question, given) == given

    # --- What always holds -----------------------------------------------------------------------

    @invariant()
    def the_log_says_who_and_what(self) -> None:
        told = {(x.turn_id, x.item_id): x.decision for x in self.world.done if isinstance(x, c.DecideItem)}
        seen = set()
        for event in self.world.logs[self.thread_id]:
            if isinstance(body := event.body, e.ApprovalDecided) and event.turn_id is not None:
                key = event.turn_id, body.ref.item_id
                assert key not in seen
                seen.add(key)
                assert (body.by, body.decision) == (self.deciders[key], told[key])

    @invariant()
    def what_waits_has_a_limit_and_shows(self) -> None:
        limits = {timer.item_id for timer in self.world.timers if timer.kind is c.TimerKind.APPROVAL}
        turn_id = self.turn_id
        waiting = {
            item for (turn, item) in self.offered if turn == turn_id and (turn, item) not in self.deciders
        } - {item for turn, item in self.over if turn == turn_id}
        assert limits == waiting
        status = [x.body for x in self.world.got(ANA).events if isinstance(x.body, e.Status)][-1]
        if status.text in ("Waiting for approval", "Waiting for an answer"):
            assert status.pending_item_id in waiting
        elif status.text != "Interrupting":
            assert not waiting

    @invariant()
    def what_was_asked_was_said_in_words(self) -> None:
        words = [
            x.body.text
            for x in self.world.logs[self.thread_id]
            if isinstance(x.body, e.TextDelta) and x.body.item_id.startswith(OF_APPROVALS)
        ]
        assert len([text for text in words if text.startswith("**bot asks")]) >= len(self.offered)


Deciding.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestDeciding = Deciding.TestCase
