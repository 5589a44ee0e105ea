"""The environment of a service of the local room: what `process join` would see if it was typed here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.cli.checked import JoinOptions

OF_THE_AGENT = (
    "OPENAI_BASE_URL", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY",
    "PROCESS_PROVIDERS", "PROCESS_MODELS", "XDG_CONFIG_HOME", "XDG_CACHE_HOME",
    "SMTP_HOSTNAME", "SMTP_PORT", "SMTP_USERNAME", "SMTP_PASSWORD", "SMTP_LOCAL_HOSTNAME", "SMTP_STARTTLS",
    "MESHAGENT_MAIL_DOMAIN",
)  # fmt: skip
"""What the agent itself reads. No way into a hosted room is among it."""

OF_THE_SESSION = frozenset(("TERM", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK"))
"""What ends with the login of the one who deploys."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def local_environment(params: Mapping[str, Any], options: JoinOptions) -> dict[str, str]:
    """Variables and their values. Raises `UsageError` for an `--env` that is not set here."""
    from process_agent.channels.specs import CommandSpec
    from process_agent.cli.channel_flags import PROGRAM_ENVIRONMENT
    from process_agent.cli.joining import BACKEND_ENVIRONMENT
    from process_agent.cli.outside_flags import variables_of
    from process_agent.cli.providers import key_variable
    from process_agent.config import environment_for_child, load, load_providers

    config = params["mcp_config"]
    names = [
        *(name for name in BACKEND_ENVIRONMENT if name not in OF_THE_SESSION),
        *OF_THE_AGENT,
        *options.channel_flags.env,
        *(key_variable(name) for name, _ in options.providers.endpoints),
        *variables_of(params["mcp_server"], None if config is None else Path(config)),
    ]
    for provider in load_providers(load()):
        names += [name for name in (provider.key_variable, provider.url_variable) if name]
    if any(isinstance(channel, CommandSpec) for channel in options.channels):
        names += [name for name in PROGRAM_ENVIRONMENT if name not in OF_THE_SESSION]
    found = environment_for_child(tuple(n for n in names if n != "MESHAGENT_TOKEN"))
    return {**found, **_own(params["env"] or ())}


def _own(texts: list[str] | tuple[()]) -> dict[str, str]:
    """`--env NAME`, with its value here, and `--env NAME=VALUE`. Raises `UsageError`."""
    from process_agent.config import variable
    from process_agent.services.credentials import refuse_credentials

    found: dict[str, str] = {}
    for text in texts:
        name, given, value = text.partition("=")
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f"--env {name[:40]!r} is not the name of a variable.")
        if given:
            # It was typed, so that the shell's history has it: no place for a key.
            refuse_credentials({"--env": value}, ())
            found[name] = value
            continue
        here = variable(name)
        if here is None:
            raise UsageError(f"--env {name}: this variable is not set here.", fix="Set it, or give =VALUE.")
        found[name] = here
    return found
