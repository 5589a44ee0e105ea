"""The command line and the environment of the app-server (page sections 2, 11, 17)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from backends.codex.account import KEY_VARIABLE, TEMPLATE_MODEL, Account, agent_folder
from backends.codex.shapes import as_dict, dicts
from backends.codex.toolkits import searches
from process_agent.core.backend import BackendConfig
from process_agent.io.child import Command
from process_agent.io.codex_program import Program, Version
from process_agent.io.command_profile import profile_arguments, scratch_folder
from process_agent.io.kept_from_commands import (
    check_folder,
    check_readable,
    make_private_folders,
    private_patterns,
    private_places,
)
from process_agent.io.leftovers import VARIABLE, Mark, mark_children
from process_agent.wire.toml import Value, inline_table, text

_PASSED_ON: Final = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "TERM",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CODEX_CA_CERTIFICATE",
    "SYSTEMROOT",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "TEMP",
    "TMP",
)

_FEATURES_OFF: Final = (
    "plugins",
    "apps",
    "remote_plugin",
    "plugin_sharing",
    "tool_suggest",
    "goals",
    "multi_agent_v2",
    "unbounded_connection_retries",
    "shell_snapshot",
)
"""Talk to third parties, add tools nobody asked for, wait for a lost network without end, or run the user's
profile, outside the sandbox, to hand commands what it exports.
"""

_AGENTS_TABLE: Final = (0, 169, 0)
"""From here on the switch for sub-agents is `agents.enabled`; the old one makes it warn."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything needed to start the app-server, again and again."""

    program: Program
    account: Account
    command: Command
    scratch: Path
    mark: Mark
    warnings: tuple[str, ...] = ()


def prepare(config: BackendConfig, program: Program, account: Account) -> Launch:
    """Make the folders and compose the command. The user's own home gets only what Codex would make there.

    Raises `UsageError` for a working folder in which commands could not be kept from anything.
    """
    if not account.own_home and config.sandbox != "full-access":
        make_private_folders(account.home)
    places = private_places(config, account.home, account.own_home)
    patterns = private_patterns(account.home, account.own_home)
    warnings = tuple(check_folder(config, places))
    check_readable(config.skill_dirs, places)
    scratch = scratch_folder(config)
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = mark_children(agent_folder(config) / "marks")
    arguments = [
        str(program.path),
        "app-server",
        *settings(config, program.version, account),
        *profile_arguments(config, places, patterns, scratch),
        "-c",
        f"shell_environment_policy={_environment_policy(config, scratch, mark)}",
    ]
    keys = {
        endpoint_variable(number): endpoint.api_key
        for number, endpoint in enumerate(config.endpoints)
        if endpoint.api_key
    }
    environment = {**child_environment(config.environment, program, account), **keys, VARIABLE: mark.word}
    command = Command(arguments, environment, config.working_dir)
    return Launch(program, account, command, scratch, mark, warnings)


def settings(config: BackendConfig, version: Version, account: Account) -> list[str]:
    """`-c` arguments apart from the sandbox. A thread nobody listens to any more is never used again.

    Images are made where the user's own login pays and is set up for it. A `notify` program of the user would
    get what the room says, for every turn.
    No login shells: commands run with the PATH we were started with, not after the user's profile, which may
    be slow, write files, or export the very keys that are kept from commands. Project instructions come
    through `project_docs`.
    """
    switch = "agents.enabled" if version >= _AGENTS_TABLE else "features.multi_agent"
    values = {
        **{f"features.{name}": "false" for name in _FEATURES_OFF},
        switch: "false",
        "tools.update_plan.enabled": "true",
        "features.default_mode_request_user_input": "true",
        "suppress_unstable_features_warning": "true",
        "allow_login_shell": "false",
        "project_doc_max_bytes": "0",
        "analytics.enabled": "false",
        "check_for_update_on_startup": "false",
        "notify": "[]",
        "thread_unload_delay_secs": "1",
    }
    if account.own_home:  # commands cannot read the skills that Codex brings along there
        values["skills.bundled.enabled"] = "false"
    if account.provider is not None:
        values["features.image_generation"] = "false"
    if config.web_search or not searches(config, account):
        values["web_search"] = text("live" if config.web_search else "disabled")
    if account.provider is not None:
        values["model_provider"] = text(account.provider)
        values[f"model_providers.{account.provider}"] = _provider(account)
    for number, endpoint in enumerate(config.endpoints):
        if endpoint.name != account.provider:
            variable = endpoint_variable(number) if endpoint.api_key else None
            values[f"model_providers.{endpoint.name}"] = _table(endpoint.name, endpoint.base_url, variable)
    if account.slugs or account.extra:
        values["model_catalog_json"] = text(str(catalog_path(agent_folder(config), account, version)))
    if account.model is not None:
        values["model"] = text(account.model)
    return [word for key, value in values.items() for word in ("-c", f"{key}={value}")]


def child_environment(given: Mapping[str, str], program: Program, account: Account) -> dict[str, str]:
    """The environment of the app-server: nothing of ours but what programs need, and the provider's key."""
    environment = {name: given[name] for name in _PASSED_ON if given.get(name)}
    path = environment.get("PATH") or os.defpath
    environment["PATH"] = f"{program.tools}{os.pathsep}{path}" if program.tools else path
    environment["CODEX_HOME"] = str(account.home)
    if account.key:
        environment[KEY_VARIABLE] = account.key
    for name in ("NO_PROXY", "no_proxy"):
        others = environment.get(name)
        environment[name] = f"{others},127.0.0.1,localhost" if others else "127.0.0.1,localhost"
    return environment


def catalog_path(folder: Path, account: Account, version: Version) -> Path:
    """Where the description of our models for this version of Codex is kept, below the agent's folder."""
    key = json.dumps([version, account.slugs, account.label, account.extra])
    return folder / f"models-{sha256(key.encode()).hexdigest()[:16]}.json"


def catalog(models: object, account: Account) -> str | None:
    """That description, as JSON, from what `codex debug models` prints; None when it lacks the template."""
    entries = dicts(as_dict(models).get("models"))
    template = next((e for e in entries if e.get("slug") == TEMPLATE_MODEL), None)
    if template is None:
        return None
    known = [] if account.slugs else entries
    slugs = {entry.get("slug") for entry in known}
    ours = [_entry(template, s, account) for s in (*account.slugs, *account.extra) if s not in slugs]
    return json.dumps({"models": [*known, *ours]}, ensure_ascii=False)


def _entry(template: Mapping[str, object], slug: str, account: Account) -> dict[str, object]:
    name = account.label if account.scripted else slug
    about = (
        "Built in, for demonstrations and tests; no network." if account.scripted else f"{slug}, as named."
    )
    return {**template, "slug": slug, "display_name": name, "description": about, "upgrade": None}


def endpoint_variable(number: int) -> str:
    """Variable of the app-server that holds the key of a further provider; commands do not get it."""
    return f"{KEY_VARIABLE}_{number + 1}"


def _provider(account: Account) -> str:
    few = {"request_max_retries": 1, "stream_max_retries": 1} if account.scripted else {}
    return _table(account.label, account.base_url or "", KEY_VARIABLE if account.key else None, **few)


def _table(label: str, url: str, variable: str | None, **more: Value) -> str:
    """A provider of ours. MeshAgent's room proxy wants a name for the run (gateway page, section 1.2)."""
    path = urlsplit(url).path
    session: dict[str, Value] = (
        {"http_headers": {"Meshagent-Session": "process"}} if "/rooms/" in path else {}
    )
    values: dict[str, Value] = {
        "name": label,
        "base_url": url,
        "wire_api": "responses",
        **({"env_key": variable} if variable else {}),
        **session,
        **more,
    }
    return inline_table(values)


def _environment_policy(config: BackendConfig, scratch: Path, mark: Mark) -> str:
    """Commands get PATH, HOME and the like, our mark, no key. In the sandbox /tmp is not theirs to write.

    Codex gives commands a socket as input. bash takes that, where it believes to be the first shell, for a
    login over the network and reads `~/.bashrc`, keys and all; SHLVL says that it is not the first.
    """
    given: dict[str, Value] = {"SHLVL": "1", VARIABLE: mark.word}
    if config.sandbox == "workspace-write":
        given["TMPDIR"] = str(scratch)
    return inline_table({"inherit": "core", "set": given})
