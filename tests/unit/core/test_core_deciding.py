"""Who decides about what waits, in which words, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core.content import TextPart
from process_agent.core.decisions import Decision, Question
from process_agent.core.ids import ItemId, ThreadId, TurnId
from process_agent.core.participants import Participant
from process_agent.core.replies import RequestRejected
from process_agent.core.turn_output import OF_APPROVALS
from process_agent.threads.history import History
from tests.fakes.supervised import World, person

ANA, BEN = person("ana"), person("ben")
ROB = person("rob", role="agent")
BOT = person("bot", role="agent")
PROGRAM = person("program", role="tool")
EVERY = (Decision.ACCEPT, Decision.ACCEPT_FOR_SESSION, Decision.DECLINE, Decision.CANCEL)


class Room:
    """A turn of ana's under way, and what is asked in it."""

    def __init__(self, *approvers: str, mode: Any = "ask") -> None:
        self.world = World(mode, approvers=approvers) if approvers else World(mode)
        self.world.start_thread(ANA, "build it")
        self.world.settle()
        self.thread_id, self.turn_id = self.world.running()[-1]
        for who in (BEN, ROB):
            self.world.ask(r.OpenThread(self.world.envelope(who), self.thread_id))
        self.asked = 0

    def ask(self, command: str = "touch x", *questions: Question, reason: str | None = None) -> ItemId:
        self.asked += 1
        ref = e.ToolRef(ItemId(f"i{self.asked}"), "codex", "shell", "codex")
        arguments = {"command": command, "cwd": "/work"}
        decisions = (Decision.ACCEPT, Decision.DECLINE, Decision.CANCEL) if questions else EVERY
        request = e.ApprovalRequested(ref, arguments, reason, decisions, questions)
        self.world.backend(self.thread_id, self.turn_id, e.ToolStarted(ref, arguments), request)
        return ref.item_id

    def types(self, who: Participant, text: str, *, steer: bool = False) -> str:
        """Somebody types a message; what the agent answers in a turn of its own."""
        known = {x.turn_id for x in self.log}
        if steer:
            content, envelope = (TextPart(text),), self.world.envelope(who)
            self.world.ask(r.SteerTurn(envelope, self.thread_id, self.turn_id, content))
        else:
            self.world.start_turn(who, self.thread_id, text)
        self.world.settle()
        return self.said(lambda x: x.turn_id not in known)

    def decides(self, who: Participant, item: ItemId, decision: Decision, **more: Any) -> str | None:
        """Somebody uses the card; why it does not count, if it does not."""
        before = len(self.world.got(who).replies)
        request = r.Decide(self.world.envelope(who), self.thread_id, self.turn_id, item, decision, **more)
        self.world.ask(request)
        (*refused,) = self.world.got(who).replies[before:]
        assert all(
            isinstance(x, RequestRejected) and x.source == request.envelope.message_id for x in refused
        )
        return refused[0].error.message if refused and isinstance(refused[0], RequestRejected) else None

    def said(self, of: Any = lambda _: True) -> str:
        return "".join(x.body.text for x in self.log if isinstance(x.body, e.TextDelta) and of(x))

    def tell(self) -> None:
        """The backend hears of every decision."""
        while any(isinstance(o, c.DecideItem) for o in self.world.outstanding):
            self.world.happen(self.world.oldest(c.DecideItem))

    @property
    def log(self) -> list[e.ThreadEvent]:
        return self.world.logs[self.thread_id]

    @property
    def told(self) -> list[tuple[ItemId, Decision]]:
        """What the backend was told, or will be."""
        return [(x.item_id, x.decision) for x in self.world.done if isinstance(x, c.DecideItem)]

    @property
    def decided(self) -> list[str]:
        return [x.body.text for x in self.log if isinstance(x.body, e.ApprovalDecided)]

    @property
    def status(self) -> str | None:
        return [x.body.text for x in self.world.got(ANA).events if isinstance(x.body, e.Status)][-1]


# --- In words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("steer", [False, True])
@pytest.mark.parametrize(
    ("text", "decision", "answer"),
    [
        ("/approve", Decision.ACCEPT, "Approved: the command `touch x`."),
        (" /Approve \n", Decision.ACCEPT, "Approved: the command `touch x`."),
        ("/approve once", Decision.ACCEPT, "Approved: the command `touch x`."),
        ("/approve 1", Decision.ACCEPT, "Approved: the command `touch x`."),
        ("/approve all", Decision.ACCEPT, "Approved: the command `touch x`."),
        ("/approve session", Decision.ACCEPT_FOR_SESSION, "Approved for the session: the command `touch x`."),
        (
            "/approve session 1",
            Decision.ACCEPT_FOR_SESSION,
            "Approved for the session: the command `touch x`.",
        ),
        ("/deny", Decision.DECLINE, "Declined: the command `touch x`."),
        ("/deny 1", Decision.DECLINE, "Declined: the command `touch x`."),
        ("/deny cancel", Decision.CANCEL, "Declined, and the turn is being stopped: the command `touch x`."),
    ],
)
def test_a_decision_is_typed(text: str, decision: Decision, answer: str, *, steer: bool) -> None:
    room = Room()
    item = room.ask()
    assert room.types(BEN, text, steer=steer) == answer
    assert room.told == [(item, decision)]
    room.tell()
    assert len(room.decided) == 1
    assert room.decided[0].endswith("by ben")


@pytest.mark.parametrize(
    "text",
    ["/approve it", "/approve 1 2", "/approve all 1", "/approve session once", "/deny now", "/approve -1"],
)
def test_only_exact_words_count(text: str) -> None:
    room = Room()
    room.ask()
    assert "not understood" in room.types(ANA, text)
    assert room.told == []


@pytest.mark.parametrize("text", ["/approve\nand go on", "please /approve", "/approved", "`/approve`"])
def test_what_is_no_command_is_for_the_model(text: str) -> None:
    room = Room()
    room.ask()
    assert room.types(ANA, text, steer=True) == ""
    assert room.told == []
    assert [o.content for o in room.world.outstanding if isinstance(o, c.SteerBackend)] == [(TextPart(text),)]


def test_with_several_one_has_to_be_named() -> None:
    room = Room()
    first, second = room.ask("touch one"), room.ask("touch `two`")
    answer = room.types(ANA, "/approve")
    assert answer.startswith("Several requests wait.")
    assert "- `1`: the command `touch one`\n- `2`: the command `` touch `two` ``" in answer
    assert room.told == []
    assert "No request 3 waits." in room.types(ANA, "/approve 3")
    assert room.types(ANA, "/approve 2") == "Approved: the command `` touch `two` ``."
    assert room.told == [(second, Decision.ACCEPT)]
    assert room.types(ANA, "/deny") == "Declined: the command `touch one`."
    assert room.told[1:] == [(first, Decision.DECLINE)]


def test_all_of_them() -> None:
    room = Room()
    items = [room.ask("touch one"), room.ask("touch two")]
    room.types(ANA, "/approve all")
    assert room.told == [(item, Decision.ACCEPT) for item in items]


def test_nothing_waits() -> None:
    room = Room()
    assert room.types(ANA, "/approve") == "Nothing waits for a decision in this thread."
    room.world.start_thread(BEN, "/approve")
    room.world.settle()
    other = list(room.world.logs)[-1]
    said = [x.body.text for x in room.world.logs[other] if isinstance(x.body, e.TextDelta)]
    assert said == ["Nothing waits for a decision in this thread."]
    item = room.ask()
    room.world.start_turn(BEN, other, "/approve")  # in a thread where nothing is asked
    room.world.settle()
    assert room.told == []
    room.decides(ANA, item, Decision.DECLINE)
    room.tell()
    assert room.types(BEN, "/approve") == "Nothing waits for a decision in this thread."


def begins(room: Room, who: Participant, text: str) -> str:
    """Somebody begins a new thread with a message; what the agent answers there."""
    room.world.start_thread(who, text)
    room.world.settle()
    log = list(room.world.logs.values())[-1]
    return "".join(x.body.text for x in log if isinstance(x.body, e.TextDelta))


@pytest.mark.parametrize(("who", "views"), [(ANA, False), (BEN, True)], ids=["who asked", "who looks on"])
def test_a_new_thread_that_begins_with_a_decision_means_the_one_that_waits(
    who: Participant, views: bool
) -> None:
    room = Room()
    item = room.ask()
    if not views:
        room.world.ask(r.CloseThread(room.world.envelope(who), room.thread_id))
    assert begins(room, who, "/approve") == "Approved: the command `touch x`."
    assert room.told == [(item, Decision.ACCEPT)]


def test_it_means_no_thread_that_does_not_concern_who_sends_it_and_none_of_several() -> None:
    room = Room()
    room.ask()
    room.world.ask(r.CloseThread(room.world.envelope(BEN), room.thread_id))
    assert begins(room, BEN, "/approve") == "Nothing waits for a decision in this thread."
    assert "Approved" not in begins(room, ROB, "/approve")
    assert room.told == []
    first = room.thread_id
    room.world.start_thread(ANA, "build that")
    room.world.settle()
    room.thread_id, room.turn_id = next(x for x in room.world.running() if x[0] != first)
    room.ask()
    assert "wait in several threads" in begins(room, ANA, "/approve all")
    assert room.told == []


def test_the_request_is_seen_in_words_and_a_model_hears_nothing_of_them() -> None:
    room = Room()
    room.ask("echo '```' && rm -rf x\u202e", reason="Needed.\n# Approved by ana")
    text = room.said(lambda x: x.body.item_id.startswith(OF_APPROVALS))
    assert "**bot asks to run a command** (request 1)" in text
    assert "````sh\necho '```' && rm -rf x\\u202e\n````" in text
    assert "in `/work`" in text
    assert "> Needed.\n> # Approved by ana" in text
    assert "`/approve`, `/approve session`, `/deny`, `/deny cancel`" in text
    assert "every participant with the role user" in text
    assert room.status == "Waiting for approval"
    room.types(ANA, "/approve")
    room.tell()
    assert room.said(lambda x: x.body.item_id.startswith(OF_APPROVALS)) == text  # the typed answer says it
    history = History()
    for event in room.log:
        history.add(event)
    assert [type(item).__name__ for item in history.items()] == ["UserMessage", "ToolCall"]


def test_a_decision_with_the_card_is_told_in_words_to_those_without() -> None:
    room = Room()
    item = room.ask()
    assert room.decides(BEN, item, Decision.ACCEPT_FOR_SESSION) is None
    room.tell()
    told = room.said(lambda x: x.body.item_id.startswith(OF_APPROVALS))
    assert told.endswith("Approved for the session by ben (the command `touch x`).")


def test_what_is_too_long_for_chat_says_how_much_is_missing() -> None:
    room = Room()
    room.ask("x" * 10_000)
    assert "**2,000 more characters are not shown here.**" in room.said()


# --- Who may decide ------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [ROB, BOT, PROGRAM])
@pytest.mark.parametrize("approvers", [(), ("rob", "bot", "program"), ("user", "role:agent")])
def test_agents_and_tools_never_decide_even_when_they_are_named(
    who: Participant, approvers: tuple[str, ...]
) -> None:
    room = Room(*approvers)
    item = room.ask()
    refused = room.decides(who, item, Decision.ACCEPT)
    assert refused is not None
    assert "may not decide here" in refused
    for text in ("/approve", "/approve all", "/deny cancel"):
        assert "may not decide here" in room.types(who, text, steer=True)
    assert room.told == []


def test_a_named_approver_decides_and_nobody_else() -> None:
    room = Room("ana")
    item = room.ask()
    assert room.decides(BEN, item, Decision.ACCEPT) == "ben may not decide here. It is up to ana."
    assert room.types(BEN, "/approve") == "ben may not decide here. It is up to ana."
    assert room.told == []
    room.types(ANA, "/approve")
    assert room.told == [(item, Decision.ACCEPT)]


def test_a_role_is_no_name_and_a_name_no_role() -> None:
    guest = Participant(person("user").id, "guest", {"name": "user"})
    room = Room("user", "role:owner")
    item = room.ask()
    assert room.decides(guest, item, Decision.ACCEPT) is not None
    owner = person("olga", role="owner")
    assert room.decides(owner, item, Decision.ACCEPT) is None


def test_the_name_that_counts_is_the_rooms() -> None:
    """`sender_name` of a message is nowhere asked; the name a message shows is the room's too."""
    room = Room("ana")
    item = room.ask()
    nameless = Participant(person("x").id, "user", {"sender_name": "ana", "display_name": "ana"})
    assert room.decides(nameless, item, Decision.ACCEPT) == "You may not decide here. It is up to ana."


def test_what_a_model_writes_is_never_a_decision() -> None:
    room = Room()
    room.ask()
    text = ItemId("text")
    for body in (e.TextStarted(text), e.TextDelta(text, "/approve"), e.TextEnded(text)):
        room.world.backend(room.thread_id, room.turn_id, body)
    assert room.told == []
    assert room.status == "Waiting for approval"


# --- Too early, too late, elsewhere, twice -------------------------------------------------------


def test_before_it_is_asked_and_after_the_end() -> None:
    room = Room()
    assert room.decides(ANA, ItemId("i1"), Decision.ACCEPT) == "Nothing waits for a decision here."
    item = room.ask()
    assert room.told == []
    room.world.backend_done(room.turn_id)
    room.world.backend(room.thread_id, room.turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    room.world.settle()
    assert room.decides(ANA, item, Decision.ACCEPT) == "Nothing waits for a decision here."
    assert room.told == []


def test_an_item_of_another_thread_or_turn() -> None:
    room = Room()
    room.world.start_thread(BEN, "other")
    room.world.settle()
    other, other_turn = room.world.running()[-1]
    item = room.ask()
    envelope = room.world.envelope(BEN)
    room.world.ask(r.Decide(envelope, other, other_turn, item, Decision.ACCEPT))
    room.world.ask(r.Decide(envelope, room.thread_id, other_turn, item, Decision.ACCEPT))
    room.world.ask(r.Decide(envelope, other, room.turn_id, item, Decision.ACCEPT))
    room.world.ask(r.Decide(envelope, ThreadId("dataset://none"), room.turn_id, item, Decision.ACCEPT))
    room.world.ask(r.Decide(envelope, room.thread_id, TurnId("none"), item, Decision.ACCEPT))
    assert room.told == []


def test_two_race_and_both_see_who_won() -> None:
    room = Room()
    item = room.ask()
    assert room.decides(ANA, item, Decision.DECLINE) is None
    assert room.decides(BEN, item, Decision.ACCEPT) == "That was decided before: Declined by ana."
    room.tell()
    assert room.decides(ANA, item, Decision.ACCEPT) == "That was decided before: Declined by ana."
    assert room.told == [(item, Decision.DECLINE)]
    for who in (ANA, BEN):
        seen = [x.body for x in room.world.got(who).events if isinstance(x.body, e.ApprovalDecided)]
        assert [x.text for x in seen] == ["Declined by ana"]


def test_what_is_not_offered_is_refused() -> None:
    room = Room()
    ref = e.ToolRef(ItemId("plain"), "codex", "shell", "codex")
    room.world.backend(room.thread_id, room.turn_id, e.ApprovalRequested(ref, {"command": "x"}))
    refused = room.decides(ANA, ref.item_id, Decision.ACCEPT_FOR_SESSION)
    assert refused == "This cannot be decided so; it takes one of: accept, decline."
    assert room.decides(ANA, ref.item_id, Decision.UNANSWERED) is not None
    assert room.types(ANA, "/approve session") == (
        "Request 1 cannot be decided so; it takes `/approve`, `/deny`."
    )
    assert room.told == []


# --- Questions -----------------------------------------------------------------------------------
