"""The supervisor's state machine once more, where each participant has threads of its own: besides all that
holds anyway, nobody is told anything about another's thread, and nothing anybody says gets into one.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.content import TextPart
from process_agent.core.ids import ParticipantId, ThreadId
from process_agent.core.participants import Participant, of_channel
from tests.fakes.supervised import World
from tests.fakes.supervisor_people import PEOPLE
from tests.property.test_core_supervisor import Machine

PHONE = Participant(ParticipantId("id-ana-phone"), "user", {"name": "ana"})
NOBODY = Participant(ParticipantId("id-nobody"))
QUEUE = Participant(ParticipantId("id-queue"), "tool", {"name": "ana"}, of_channel("queue:jobs"))
EVERYBODY = [*PEOPLE, PHONE, NOBODY, QUEUE]
REFUSALS = ("thread_not_available", "participant_name_required")


class Apart(Machine):
    at_once = False

    def a_world(self) -> World:
        return World(isolation="participant")

    @rule(who=st.sampled_from([PHONE, NOBODY, QUEUE]), text=st.sampled_from(["", "hi"]))
    def others_start_threads(self, who: Participant, text: str) -> None:
        if len(self.world.logs) < 5:
            self.world.start_thread(who, text)

    @rule(who=st.sampled_from(EVERYBODY), watch=st.booleans())
    def watch_the_list(self, who: Participant, watch: bool) -> None:
        envelope = self.world.envelope(who)
        self.world.ask(r.WatchThreads(envelope) if watch else r.UnwatchThreads(envelope))

    @rule(who=st.sampled_from(EVERYBODY))
    def read_the_list(self, who: Participant) -> None:
        self.world.ask(r.ListThreads(self.world.envelope(who)))

    @precondition(lambda self: self.world.logs)
    @rule(who=st.sampled_from(EVERYBODY), data=st.data())
    def ask_something(self, who: Participant, data: st.DataObject) -> None:
        thread_id, envelope = self._thread(data), self.world.envelope(who)
        asked: list[r.Request] = [
            r.OpenThread(envelope, thread_id),
            r.OpenThread(envelope, thread_id, load=True),
            r.CloseThread(envelope, thread_id),
            r.RenameThread(envelope, thread_id, "mine"),
            r.ListCapabilities(envelope, thread_id),
            r.StartTurn(envelope, thread_id, (TextPart("hi"),), create=True),
            r.DeleteThread(envelope, thread_id),
        ]
        self.world.ask(data.draw(st.sampled_from(asked)))

    @rule(who=st.sampled_from(EVERYBODY))
    def ask_about_no_thread(self, who: Participant) -> None:
        self.world.ask(r.OpenThread(self.world.envelope(who), ThreadId("dataset://t/none"), load=True))

    @invariant()
    def nobody_hears_of_anothers_thread(self) -> None:
        for who in EVERYBODY:
            for sent in self.world.got(who).all:
                for thread_id in _about(sent):
                    owner = self.world.owners.get(thread_id)
                    assert owner in (None, who.owner) or _refuses(sent), (who, sent)

    @invariant()
    def nobody_is_in_anothers_thread(self) -> None:
        for thread_id, log in self.world.logs.items():
            owner = self.world.owners.get(thread_id)
            for event in log:
                if isinstance(event.body, e.TurnRequested | e.SteerRequested):
                    said_by = {f"name:{event.body.sender_name}", QUEUE.owner}
                    assert owner in said_by, event
        for viewer, thread_id in self.world.views:
            who = next(x for x in EVERYBODY if x.id == viewer.participant)
            if thread_id in self.world.logs:  # the view of one that was deleted meanwhile is closed soon
                assert self.world.owners[thread_id] == who.owner

    @invariant()
    def every_list_counts_what_it_may_show(self) -> None:
        for who in EVERYBODY:
            for sent in self.world.got(who).replies:
                assert not isinstance(sent, a.ThreadsListed) or sent.total == len(sent.threads)


def _about(sent: e.ThreadEvent | a.Reply) -> list[ThreadId]:
    match sent:
        case e.ThreadEvent() | a.ThreadStarted() | a.ThreadLoaded() | a.CapabilitiesListed():
            return [sent.thread_id]
        case a.ThreadsListed():
            return [entry.path for entry in sent.threads]
        case a.ThreadCreated(entry) | a.ThreadUpdated(entry):
            return [entry.path]
        case a.ThreadDeleted(path):
            return [path]
        case _:
            return []


def _refuses(sent: e.ThreadEvent | a.Reply) -> bool:
    """A refusal, or the end of loading that goes with one."""
    if isinstance(sent, a.ThreadLoaded):
        return sent.older is None
    body = sent.body if isinstance(sent, e.ThreadEvent) else None
    return isinstance(body, e.TurnRejected | e.SteerRejected) and body.error.code in REFUSALS


Apart.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestIsolation = Apart.TestCase
