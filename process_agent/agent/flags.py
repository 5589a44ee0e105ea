"""Flags that no backend of an agent can follow: refused with the reason, before anything is joined."""

from __future__ import annotations

from collections.abc import Sequence

from process_agent.agent.local_tools import check_local
from process_agent.agent.tools.mcp import check_installed
from process_agent.agent.tools.sources import ToolOptions
from process_agent.core.backend import Backend, BackendConfig
from process_agent.core.hosting import HostedTools
from process_agent.core.records import Recording
from process_agent.errors import UsageError

_ANOTHER_BACKEND = "Leave it out, or add a backend that does, like --backend codex."


def check_flags(tools: ToolOptions, config: BackendConfig, backends: Sequence[Backend]) -> None:
    """Raise `UsageError` for the first flag that would have no effect."""
    if config.keeps_history:
        _check_recording(backends)
    flags, names = tools.flags, " and ".join(backend.name for backend in backends)
    if flags and not any(backend.takes_tools for backend in backends):
        raise UsageError(
            f"{flags[0]} has no effect: {names} takes no tools from the agent.", fix=_ANOTHER_BACKEND
        )
    check_local(tools, config, backends)
    _check_mcp(tools, backends)
    _check_hosted(config, backends)


def _check_hosted(config: BackendConfig, backends: Sequence[Backend]) -> None:
    """Raise `UsageError` for tools of providers that no backend can have."""
    flag = "--web-search" if config.web_search else "--image-generation" if config.image_model else None
    if flag is not None and not any(isinstance(backend, HostedTools) for backend in backends):
        names = " and ".join(backend.name for backend in backends)
        raise UsageError(
            f"{flag} has no effect: {names} offers no tools of model providers.",
            fix="Offer a language model, like --model gpt-5.5. Codex searches the web with --network.",
        )


def _check_mcp(tools: ToolOptions, backends: Sequence[Backend]) -> None:
    """Raise `UsageError` for flags about MCP servers that no backend can use."""
    names = " and ".join(backend.name for backend in backends)
    through_us = [backend for backend in backends if backend.takes_tools and not backend.takes_mcp]
    if tools.mcp != "none" and not any(backend.takes_mcp or backend.takes_tools for backend in backends):
        raise UsageError(f"--mcp has no effect: {names} connects to no MCP servers.", fix=_ANOTHER_BACKEND)
    if tools.servers and not through_us:
        raise UsageError(
            f"--mcp-server and --mcp-config have no effect: {names} takes no MCP servers from the agent.",
            fix="Codex reads the [mcp_servers] of its own configuration; leave the flag out.",
        )
    if through_us and (tools.servers or tools.mcp != "none"):
        check_installed()


def _check_recording(backends: Sequence[Backend]) -> None:
    """Raise `UsageError` unless one backend alone keeps the history of threads."""
    others = [backend.name for backend in backends if not isinstance(backend, Recording)]
    if others or len(backends) != 1:
        raise UsageError(
            "--thread-storage codex keeps threads in Codex's own records, where turns of "
            f"{' and '.join(others)} have no place.",
            fix="Use --backend codex with its models alone, or leave --thread-storage out.",
        )
