"""From a request to what the scripted model does: pure, without memory, always the same.

The prompt is the last message of a person; a message that steers a running turn is one, so its script
replaces the one that ran. Scripts are chosen by `prompts.choose`.
"""

from __future__ import annotations

from collections.abc import Sequence

from process_agent.scripted.actions import Action, CallTools, Script
from process_agent.scripted.conversation import read_conversation
from process_agent.scripted.prompts import choose
from process_agent.scripted.tools import Tools
from process_agent.wire.responses import ResponsesRequest

MODEL = "scripted"
"""Name of the model in `GET /v1/models`."""

LABEL = "scripted model"
"""What it is called wherever people see it."""


def answer(request: ResponsesRequest) -> list[Action]:
    """What to do next in the turn this request belongs to."""
    conversation = read_conversation(request)
    script = choose(conversation, Tools(request.tools))
    return continue_script(script, conversation.replies)


def continue_script(script: Script, replies: Sequence[str]) -> list[Action]:
    """Run a script past the calls that have replies, up to the next call or its end.

    Only the actions after the last answered call are returned: the ones before it were done by earlier
    requests of the same turn.
    """
    actions: list[Action] = []
    answered = 0
    try:
        action = next(script)
        while True:
            if not isinstance(action, CallTools):
                actions.append(action)
                action = script.send(())
                continue
            end = answered + len(action.calls)
            if end > len(replies):
                return [*actions, action]
            actions.clear()
            action = script.send(tuple(replies[answered:end]))
            answered = end
    except StopIteration:
        return actions
