"""Whatever an agent says, in whatever order: viewers keep it, and show it without escape sequences."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.viewer.records import records
from process_agent.viewer.terminal import listings, render
from process_agent.viewer.terminal.document import document
from process_agent.viewer.terminal.scroll import Scroll
from process_agent.viewer.transcript import Transcript
from tests.fakes.agent_message_samples import bodies
from tests.fakes.viewer_room import event

TURNS = ["U1", "U1", "U2", None]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(bodies, st.sampled_from(TURNS)), max_size=25))
def test_any_events_in_any_order(said: list[tuple[e.EventBody, str | None]]) -> None:
    transcript, scroll = Transcript(), Scroll("ana")
    shown = []
    for body, turn in said:
        transcript.apply(event(body, turn))
        shown += [*scroll.take(transcript, 80), *scroll.live(transcript, 80)]
    json.dumps(list(records(transcript)))
    shown += [*document(transcript, 80), render.table([("", ""), *listings.figures(transcript)])]
    for asked in transcript.asked_secrets():
        shown += render.asked_secret(asked)
    plain = render.to_ansi(shown, 80, None)
    assert not any(ord(c) < 32 and c != "\n" for c in plain)
