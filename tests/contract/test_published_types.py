"""Whatever we can send, the published models take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.core import replies as rp
from process_agent.core import requests as rq
from process_agent.core.ids import MessageId, ThreadId, TurnId
from process_agent.wire.agent_messages import compact, encode_event, encode_reply, encode_request
from tests.contract.agent_room import PREFIX
from tests.contract.published.install import for_published
from tests.contract.published.program import NOT_MODELLED, Program
from tests.fakes.agent_message_samples import NOW, all_replies, all_requests, bodies
from tests.unit.house.test_ledger import TYPES

pytestmark = for_published


def test_the_ledger_lists_every_type_of_theirs(published: Program) -> None:
    refused = published.call("parse", messages=[{"type": PREFIX + kind} for kind in TYPES]).result(30)
    unknown = {
        PREFIX + kind for kind, why in zip(TYPES, refused, strict=True) if "unsupported" in (why or "")
    }
    assert unknown == NOT_MODELLED
    assert set(published.call("types").result(30)) <= {PREFIX + kind for kind in TYPES}


def check(published: Program, messages: Sequence[dict[str, Any]]) -> None:
    modelled = [message for message in messages if message["type"] not in NOT_MODELLED]
    refused = published.call("parse", messages=modelled).result(30)
    assert [(why, m) for why, m in zip(refused, modelled, strict=True) if why is not None] == []


def both_forms(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(form)) for form in (message, compact(message))]


@settings(max_examples=40)
@given(st.lists(bodies, min_size=10, max_size=30))
def test_every_event_is_modelled(published: Program, some: list[e.EventBody]) -> None:
    events = [e.ThreadEvent(MessageId("m"), ThreadId("t"), TurnId("u"), NOW, body) for body in some]
    check(published, [form for event in events for form in both_forms(encode_event(event))])


@settings(max_examples=20)
@given(st.lists(all_replies, min_size=5, max_size=15))
def test_every_reply_is_modelled(published: Program, some: list[rp.Reply]) -> None:
    encoded = [encode_reply(reply, message_id="m", created_at=NOW, sender_name="bot") for reply in some]
    check(published, [form for message in encoded for form in both_forms(message)])


@settings(max_examples=20)
@given(st.lists(all_requests, min_size=5, max_size=15))
def test_every_request_of_our_viewer_is_modelled(published: Program, some: list[rq.Request]) -> None:
    check(published, [json.loads(json.dumps(encode_request(request))) for request in some])
