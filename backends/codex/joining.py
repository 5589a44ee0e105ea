"""Words that came together, as one notification: what is made of each costs more than the words. Pure."""

from __future__ import annotations

from typing import Final

from process_agent.wire.jsonrpc import Notification

MAX_JOINED: Final = 4 * 1024
"""Characters after which another one begins: each joining copies what is there."""

_WORDS: Final = "delta"


def joined(last: object, new: Notification) -> Notification | None:
    """Both as one, when `new` goes on exactly where `last` ended; None otherwise."""
    if not isinstance(last, Notification) or last.method != new.method or not is_delta(new):
        return None
    before, more = last.params.get(_WORDS), new.params.get(_WORDS)
    if not isinstance(before, str) or not isinstance(more, str) or len(before) >= MAX_JOINED:
        return None
    if {**last.params, _WORDS: ""} != {**new.params, _WORDS: ""}:
        return None
    return Notification(new.method, {**new.params, _WORDS: before + more})


def is_delta(notification: Notification) -> bool:
    """Whether it tells a piece of something that grows."""
    return notification.method.lower().endswith(_WORDS)
