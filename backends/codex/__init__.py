"""Codex through its app-server."""

from __future__ import annotations

from process_agent.core.backend import Backend, BackendConfig


def create_backend(config: BackendConfig) -> Backend:
    """The entry point `codex`. Does no I/O and imports the backend only now."""
    from backends.codex.backend import CodexBackend

    return CodexBackend(config)
