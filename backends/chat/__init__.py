"""A room thread for people: turns are taken and kept, and nobody answers."""

from __future__ import annotations

from process_agent.core.backend import Backend, BackendConfig


def create_backend(config: BackendConfig) -> Backend:
    """The entry point `chat`. Does no I/O."""
    from backends.chat.backend import ChatBackend

    return ChatBackend(config)
