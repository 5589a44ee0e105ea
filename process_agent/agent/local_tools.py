"""Commands and skills for models that have none of their own: whether flags have an effect, and what people
are told at the start.
"""

from __future__ import annotations

from collections.abc import Sequence

from process_agent.agent.tools.shell.source import Shell
from process_agent.agent.tools.sources import ToolOptions
from process_agent.core.backend import Backend, BackendConfig
from process_agent.errors import UsageError

_A_MODEL = "Leave it out, or add a language model, like --model gpt-5.5."


def check_local(options: ToolOptions, config: BackendConfig, backends: Sequence[Backend]) -> None:
    """Raise `UsageError` for a shell, a network for commands, or skills that no backend can use."""
    skill_dirs = config.skill_dirs
    names = " and ".join(backend.name for backend in backends)
    if options.shell_flags and not _users(backends):
        own = " and ".join(backend.name for backend in backends if backend.runs_commands)
        why = f"{own} has a shell of its own" if own else f"{names} runs no commands"
        raise UsageError(f"{options.shell_flags[0]} has no effect: {why}.", fix=_A_MODEL)
    if config.network and not options.shell_flags and not any(each.runs_commands for each in backends):
        raise UsageError(
            f"--network has no effect: {names} runs no commands.", fix="Leave it out, or add --shell."
        )
    if skill_dirs and not any(backend.takes_tools or backend.runs_commands for backend in backends):
        raise UsageError(f"--skill-dir has no effect: {names} reads no skills.", fix=_A_MODEL)


def make_shell(options: ToolOptions, backend: BackendConfig) -> Shell | None:
    """The agent's shell, not opened; None when no flag asks for one."""
    if not options.shell_flags:
        return None
    return Shell(backend, one_shot=options.shell, lasting=options.advanced_shell)


def shell_lines(
    shell: Shell | None, options: ToolOptions, backends: Sequence[Backend]
) -> tuple[tuple[str, str], ...]:
    """Lines of the start summary: what commands may do, and on mixed agents, whose."""
    if shell is None:
        return ()
    flags = ", ".join(flag.removeprefix("--") for flag in options.shell_flags)
    own = [backend.name for backend in backends if backend.runs_commands]
    whose = f", for {', '.join(_users(backends))}; {', '.join(own)} has its own" if own else ""
    line = f"{flags}: {shell.sandbox.line}, in {shell.folder}{whose}"
    return (("shell", line), *(("warning", text) for text in shell.sandbox.warnings))


def _users(backends: Sequence[Backend]) -> list[str]:
    return [backend.name for backend in backends if backend.takes_tools and not backend.runs_commands]
