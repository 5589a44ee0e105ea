"""Agent messages: the JSON objects that agents and chat clients exchange and that threads store.

Shapes are those of the published process agent (agent protocol, section 3). Both directions are here,
because the same package is the agent and a client.
"""

from process_agent.wire.agent_messages.decode_events import decode_event
from process_agent.wire.agent_messages.encode_events import encode_event
from process_agent.wire.agent_messages.encode_requests import encode_request
from process_agent.wire.agent_messages.injected import unpack
from process_agent.wire.agent_messages.notices import encode_behind
from process_agent.wire.agent_messages.parts import PREFIX, compact
from process_agent.wire.agent_messages.replies import decode_reply, encode_reply
from process_agent.wire.agent_messages.requests import decode_request

__all__ = [
    "PREFIX",
    "compact",
    "decode_event",
    "decode_reply",
    "decode_request",
    "encode_behind",
    "encode_event",
    "encode_reply",
    "encode_request",
    "unpack",
]
