"""How a person goes on with a stored thread in a terminal, by what backends kept with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from process_agent.core.backend import KeptState
    from process_agent.core.ids import ThreadId


def commands(
    thread_id: ThreadId, kept: Mapping[str, KeptState], environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Names of backends, each with its shell command. The rows may be anybody's: it is the backend, not they,
    that says what to type. One that is not installed here says nothing.
    """
    from process_agent.agent import registry
    from process_agent.core.backend import BackendConfig

    for name in sorted(set(kept) & set(registry.installed())):
        backend = registry.create(name, BackendConfig("", Path(), Path(), environment=environment))
        if (command := backend.command(thread_id, kept[name])) is not None:
            yield name, command
