"""Where logins and keys are, and the room's own data: kept from commands, and from tools that show files.

Paths are resolved: what a symbolic link leads to is what has to be kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

LOGINS: Final = (
    ".codex", ".meshagent", ".local/share/process", ".config/process",
    ".claude", ".claude.json", ".gemini", ".copilot", ".config/github-copilot", ".local/share/opencode",
    ".ssh", ".gnupg", ".netrc", ".git-credentials", ".config/git/credentials", ".config/gh",
    ".config/glab-cli", ".aws", ".azure", ".config/gcloud", ".kube", ".docker/config.json", ".terraform.d",
    ".vault-token", ".npmrc", ".yarnrc.yml", ".pypirc", ".cargo/credentials.toml", ".cargo/credentials",
    ".gem/credentials", ".pgpass", ".my.cnf", ".config/rclone", ".config/op", ".password-store",
    ".local/share/keyrings", ".cache/huggingface/token",
)  # fmt: skip
"""Below the home folder: where we, other coding agents, Git, clouds, registries and databases keep what they
log in with; `.config/process` also says which settings files are trusted."""

LOGIN_VARIABLES: Final = (
    "CLAUDE_CONFIG_DIR", "GH_CONFIG_DIR", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "KUBECONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "AZURE_CONFIG_DIR", "DOCKER_CONFIG", "GNUPGHOME",
    "NPM_CONFIG_USERCONFIG", "NETRC", "PGPASSFILE",
)  # fmt: skip
"""Variables that say where a login is instead."""


def private_places(environment: Mapping[str, str], data_dir: Path, *homes: Path) -> list[Path]:
    """The room's data, every login, and all of the Codex homes, these and the user's; none lies below
    another, and they need not exist.
    """
    found = [data_dir, *logins(environment), *codex_homes(environment), *homes]
    return outermost(map(resolved, found))


def user_home(environment: Mapping[str, str]) -> Path:
    """The user's home folder."""
    return Path(environment.get("HOME") or Path.home())


def logins(environment: Mapping[str, str]) -> list[Path]:
    """Files and folders with logins of the user's, Codex's left out (`codex_homes`)."""
    user = user_home(environment)
    return [
        *(user / name for name in LOGINS if name != ".codex"),
        *listed_paths(environment, LOGIN_VARIABLES),
    ]


def codex_homes(environment: Mapping[str, str]) -> list[Path]:
    """Where Codex keeps its login: by default, and where `CODEX_HOME` says."""
    chosen = environment.get("CODEX_HOME")
    homes = [user_home(environment) / ".codex"]
    return [*homes, Path(chosen).expanduser()] if chosen else homes


def listed_paths(environment: Mapping[str, str], names: Iterable[str]) -> list[Path]:
    """The absolute paths in variables, which may hold several."""
    parts = [part for name in names for part in environment.get(name, "").split(os.pathsep)]
    return [Path(part) for part in parts if part.startswith("/")]


def resolved(path: Path) -> Path:
    """Absolute and without links; as it is where links lead nowhere."""
    try:
        return path.absolute().resolve()
    except (OSError, RuntimeError):  # a loop of links leads nowhere
        return path.absolute()


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Those that lie below no other, each once."""
    found = dict.fromkeys(paths)
    return [path for path in found if found.keys().isdisjoint(path.parents)]
