"""`messages.inject`: several messages about one thread, in one (section 3.3)."""

from __future__ import annotations

from process_agent.errors import WireError
from process_agent.wire.agent_messages.limits import MAX_INJECTED, check
from process_agent.wire.agent_messages.parts import PREFIX, Body, Fields

INJECT = PREFIX + "messages.inject"


def unpack(body: Body) -> tuple[Body, ...]:
    """The messages in a message, in order: itself, or what was injected.

    Raises `WireError` for an injection that holds another one, a message of another thread, or too many:
    nothing of it counts then.
    """
    if body.get("type") != INJECT:
        return (body,)
    check(body)
    fields = Fields(body)
    thread_id, inner = fields.text("thread_id"), fields.objects("messages")
    if len(inner) > MAX_INJECTED:
        raise WireError(f"{INJECT}: more than {MAX_INJECTED} messages")
    for position, message in enumerate(inner):
        place = f"{INJECT}: messages[{position}]"
        if not message.type.startswith(PREFIX) or message.type.startswith(INJECT):
            raise WireError(f"{place} must be an agent message, and not inject others itself")
        if not isinstance(message.body.get("message_id"), str | None):
            raise WireError(f"{place}: message_id must be text")
        if message.body.get("thread_id", thread_id) != thread_id:
            raise WireError(f"{place} is about another thread")
    return tuple(message.body for message in inner)
