"""What a sender reads when there is no answer. Pure.

Nobody checked who the sender is, so a notice gives a kind and a code; the error's own text, which may name
files and accounts, stays in the room.
"""

from __future__ import annotations

import re

from process_agent.channels.errands import Outcome
from process_agent.core.events import EndReason

STOPPED = frozenset(("agent_stopping", "agent_stopped"))
"""Codes of turns that ended, or never began, because the agent stops."""

EMPTY = "The agent finished its work and wrote no answer."
CUT = "(The answer was longer; the rest is in the thread in the room.)"
_CODE = re.compile(r"[a-z0-9_.-]{1,60}", re.IGNORECASE)


def text_of(outcome: Outcome) -> str:
    """The text to send for an outcome: the agent's messages, or what happened and what to do, as Markdown."""
    if outcome.ended is not EndReason.COMPLETED:
        return _failure(outcome)
    said = outcome.texts or outcome.commentary[-1:]
    if not said:
        return "See the attached files." if outcome.files else EMPTY
    return "\n\n".join((*said, CUT) if outcome.truncated else said)


def _failure(outcome: Outcome) -> str:
    code = outcome.error.code if outcome.error is not None else "failed"
    if outcome.ended is EndReason.INTERRUPTED or code in STOPPED:
        return (
            "The work on your mail was stopped before it was done.\n\n"
            "Nothing more will come of it by itself. Answer this mail to have it taken up again."
        )
    kind = "did not begin to work" if outcome.ended is None else "could not finish the work"
    shown = code if _CODE.fullmatch(code) else "failed"
    return (
        f"The agent {kind} on your mail: an error occurred (`{shown}`).\n\n"
        "Answer this mail to try again. If that fails too, tell whoever runs the agent; "
        "the details are in the thread in the room and in the agent's log."
    )
