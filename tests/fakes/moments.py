"""Events that come one by one, each in a moment of its own."""

from __future__ import annotations

from process_agent.channels.merging import Merging
from process_agent.core.events import ThreadEvent


def added(way: Merging, event: ThreadEvent, now: float) -> list[ThreadEvent]:
    """What goes in the moment in which this event comes and nothing else."""
    return [*way.add(event, now), *way.take_due(now)]
