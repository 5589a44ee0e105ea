"""Language models over HTTP."""

from __future__ import annotations

from process_agent.core.backend import Backend, BackendConfig


def create_backend(config: BackendConfig) -> Backend:
    """The entry point `llm`. Does no I/O and imports the backend only now."""
    from backends.llm.backend import LlmBackend

    return LlmBackend(config)
