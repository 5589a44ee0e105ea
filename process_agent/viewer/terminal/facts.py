"""The line of facts below the input: who one talks to, in which thread, and what it used."""

from __future__ import annotations

from collections.abc import Iterator

from process_agent.viewer.terminal import render
from process_agent.viewer.terminal.plain import money
from process_agent.viewer.terminal.session import Session


def facts(session: Session) -> Iterator[str]:
    """The facts, the most telling ones first."""
    yield session.client.agent_name
    if session.model is not None:
        yield session.model
    if session.view is None:
        yield "new thread"
    else:
        yield session.thread_name or session.view.thread_id.rsplit("/", 1)[-1][:8]
        transcript = session.view.transcript
        if transcript.context is not None:
            yield render.context(transcript.context)
        if transcript.cost is not None:
            yield money(transcript.cost)
    yield "/help"
