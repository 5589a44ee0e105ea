"""Flags that no backend of an agent can follow: refused with the reason, before anything is joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from process_agent.agent.local_tools import check_local
from process_agent.agent.tools.mcp import check_installed
from process_agent.agent.tools.sources import ToolOptions
from process_agent.core.backend import Backend, BackendConfig
from process_agent.core.hosting import HostedTools
from process_agent.core.records import Recording
from process_agent.errors import UsageError

_ANOTHER_BACKEND = "Leave it out, or add a backend that does, like --backend codex."
_BROUGHT: Final = {
    "public": "messages may bring servers at public addresses, over https",
    "any": "messages may bring servers at any address that this machine reaches",
}
_HOSTED: Final = {
    "--web-search": "no search of the web",
    "--image-generation": "no tool that makes images",
}


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
    for flag in _lacking(config, backends):
        raise UsageError(
            f"{flag} has no effect: {names} has no such tool.",
            fix="Offer a language model, like --model gpt-5.5. Codex searches the web, too.",
        )


def check_effort(config: BackendConfig, backends: Sequence[Backend]) -> None:
    """Raise `UsageError` for a reasoning effort that no model on offer has, now that backends run."""
    wanted, listed = config.effort, [each for backend in backends for each in backend.models()]
    models = [model for each in listed for model in each.models]
    if wanted is None or not models or any(model.has_effort(wanted) for model in models):
        return
    levels = list(dict.fromkeys(level for model in models for level in model.efforts))
    raise UsageError(
        f"--reasoning-effort {wanted} has no effect: no model on offer has it.",
        fix=f"They have {', '.join(levels)}." if levels else "They take none; leave it out.",
    )


def check_hosted(config: BackendConfig, backends: Sequence[Backend]) -> None:
    """Raise `UsageError` for a tool of providers that no model on offer has, now that backends run."""
    who = ", ".join(models.friendly_name for backend in backends for models in backend.models())
    for flag in _lacking(config, backends):
        raise UsageError(
            f"{flag} has no effect: {_HOSTED[flag]} is known of {who}.",
            fix="Offer a model of OpenAI; docs/llm.md says what other providers can have.",
        )


def _lacking(config: BackendConfig, backends: Sequence[Backend]) -> list[str]:
    """The flags about tools of providers that none of the backends can follow."""
    wanted = {"--web-search": config.web_search, "--image-generation": config.image_model is not None}
    had = {tool for each in backends if isinstance(each, HostedTools) for tool in each.hosts_tools}
    return [flag for flag, given in wanted.items() if given and flag[2:].replace("-", "_") not in had]


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


def mcp_lines(tools: ToolOptions, backends: Sequence[Backend]) -> tuple[tuple[str, str], ...]:
    """Lines of the start summary about MCP servers of the operator and of messages, and on mixed agents, who
    uses them.
    """
    through_us = [each.name for each in backends if each.takes_tools and not each.takes_mcp]
    own = [each.name for each in backends if each.takes_mcp]
    neither = [each.name for each in backends if not each.takes_tools and not each.takes_mcp]
    without = [f"not for {', '.join(neither)}"] if neither else []
    lines = []
    if tools.servers:
        names = ", ".join(server.name for server in tools.servers)
        other = [f"{', '.join(own)} reads its own configuration"] if own else []
        lines.append(("mcp servers", _whose(names, through_us, [*other, *without])))
    if tools.mcp != "none":
        users = [each.name for each in backends if each.name not in neither]
        lines.append(("mcp", _whose(_BROUGHT[tools.mcp], users, without)))
    return tuple(lines)


def _whose(what: str, users: Sequence[str], others: Sequence[str]) -> str:
    return "; ".join([f"{what}, for {', '.join(users)}", *others]) if others or len(users) > 1 else what


def _check_recording(backends: Sequence[Backend]) -> None:
    """Raise `UsageError` unless one backend alone keeps the history of threads."""
    others = [backend.name for backend in backends if not isinstance(backend, Recording)]
    if others or len(backends) != 1:
        raise UsageError(
            "--thread-storage codex keeps threads in Codex's own records, where turns of "
            f"{' and '.join(others)} have no place.",
            fix="Use --backend codex with its models alone, or leave --thread-storage out.",
        )
