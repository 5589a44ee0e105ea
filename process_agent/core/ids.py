"""Names of things, so that a turn id cannot be passed where a thread id is meant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NewType

ThreadId = NewType("ThreadId", str)
"""The path of a thread, like `dataset://agents/codex-agent/threads/<uuid>`."""

TurnId = NewType("TurnId", str)
ItemId = NewType("ItemId", str)
"""Unique within its turn; the key by which every client merges the events of one item."""

MessageId = NewType("MessageId", str)
"""UUID text. Stable between the live and the stored form of one event."""

AskId = NewType("AskId", str)
"""What a turn asks one participant for and waits: a client tool's answer, or a secret. Unique in its turn."""

ParticipantId = NewType("ParticipantId", str)
"""Chosen by the room for one connection; not stable across reconnects."""

type IdSource = Callable[[], str]
"""Returns a new UUID text at each call; tests inject a counter."""

type Clock = Callable[[], datetime]
"""Returns the current time with UTC as its zone; tests inject their own."""
