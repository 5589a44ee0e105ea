"""The only reader of the environment and of the places where files are kept.

Everything else gets plain values from here, so that a test can build a `Settings` without touching the
environment.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from process_agent.core.providers import ModelProvider, parse_providers
from process_agent.errors import UsageError

_PROVIDERS = "providers.toml"

DEFAULT_PORT = 8722
"""Loopback port of the local room when neither `--port` nor a running server says otherwise."""


@dataclass(frozen=True, slots=True)
class DataPaths:
    """Where the local room and the agents keep their files, below one root folder."""

    root: Path

    @property
    def server_state(self) -> Path:
        """JSON written by a running room server: url, port, pid, data_dir."""
        return self.root / "room-server.json"

    @property
    def server_port(self) -> Path:
        """The port of the last server, so that agents and people who stayed find the next one there."""
        return self.root / "room-server.port"

    @property
    def server_log(self) -> Path:
        """Log of the room server when it runs in the background."""
        return self.root / "room-server.log"

    @property
    def signing_key(self) -> Path:
        """HS256 secret that signs participant tokens of the local room; mode 600."""
        return self.root / "signing-key"

    @property
    def rooms(self) -> Path:
        """One folder per room: its datasets, storage, documents."""
        return self.root / "rooms"

    @property
    def codex_homes(self) -> Path:
        """One CODEX_HOME per agent that does not use the user's own."""
        return self.root / "codex"


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """What the environment says about sending mail: `SMTP_HOSTNAME`, `SMTP_PORT`, `SMTP_USERNAME`,
    `SMTP_PASSWORD`, `SMTP_LOCAL_HOSTNAME`, `SMTP_STARTTLS`, and MeshAgent's own `MESHAGENT_MAIL_DOMAIN`.
    """

    hostname: str | None = None
    port: int | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    local_hostname: str | None = None
    starttls: bool | None = None
    mail_domain: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What the environment says about answering calls: `MESHAGENT_HOST`, `MESHAGENT_PORT` and
    `MESHAGENT_WEBHOOK_SECRET`. The port is a text that nobody has checked.
    """

    host: str | None = None
    port: str | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. Secrets are plain strings here and must not be logged."""

    api_url: str | None
    room_url: str | None
    token: str | None
    api_key: str | None
    secret: str | None
    room: str | None
    project_id: str | None
    openai_base_url: str | None
    openai_api_key: str | None
    anthropic_base_url: str | None
    anthropic_api_key: str | None
    codex_home: Path | None
    data_dir: Path
    home: Path
    cache_dir: Path
    """Where copies are kept that can be made again."""
    smtp: SmtpSettings = SmtpSettings()
    providers_file: Path | None = None
    models_file: Path | None = None
    oauth_client_id: str | None = None
    oauth_client_secret: str | None = field(default=None, repr=False)
    oauth_scopes: str | None = None
    image: str | None = None
    """Container image of services, when no `--image` names one."""
    webhook: WebhookSettings = WebhookSettings()

    def paths(self, data_dir: Path | None = None) -> DataPaths:
        """The data folder: the argument (`--data-dir`), else `PROCESS_DATA_DIR`, else the user's."""
        return DataPaths((data_dir or self.data_dir).expanduser().absolute())


def unusable_folder(folder: Path, error: OSError) -> UsageError:
    """The error to raise when the data folder, or a part of it, cannot be made or written."""
    return UsageError(
        f"The data folder {folder} cannot be written: {error.strerror}.",
        fix="Choose another with --data-dir.",
    )


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment once. Empty variables count as unset."""
    env = {k: v for k, v in (os.environ if environ is None else environ).items() if v}
    home = Path(env.get("HOME") or Path.home())
    return Settings(
        api_url=_url(env, "MESHAGENT_API_URL"),
        room_url=_url(env, "MESHAGENT_ROOM_URL"),
        token=env.get("MESHAGENT_TOKEN"),
        api_key=env.get("MESHAGENT_API_KEY"),
        secret=env.get("MESHAGENT_SECRET"),
        room=env.get("MESHAGENT_ROOM"),
        project_id=env.get("MESHAGENT_PROJECT_ID"),
        openai_base_url=_url(env, "OPENAI_BASE_URL"),
        openai_api_key=env.get("OPENAI_API_KEY"),
        anthropic_base_url=_url(env, "ANTHROPIC_BASE_URL"),
        anthropic_api_key=env.get("ANTHROPIC_API_KEY"),
        codex_home=Path(env["CODEX_HOME"]).expanduser() if "CODEX_HOME" in env else None,
        data_dir=Path(env["PROCESS_DATA_DIR"]) if "PROCESS_DATA_DIR" in env else _default_data_dir(env, home),
        home=home,
        cache_dir=(Path(env["XDG_CACHE_HOME"]) if "XDG_CACHE_HOME" in env else home / ".cache") / "process",
        providers_file=_providers_file(env, home),
        models_file=Path(env["PROCESS_MODELS"]).expanduser() if "PROCESS_MODELS" in env else None,
        oauth_client_id=env.get("MESHAGENT_OAUTH_CLIENT_ID"),
        oauth_client_secret=env.get("MESHAGENT_OAUTH_CLIENT_SECRET"),
        oauth_scopes=env.get("MESHAGENT_OAUTH_SCOPES"),
        image=env.get("PROCESS_IMAGE"),
        smtp=_smtp(env),
        webhook=WebhookSettings(
            env.get("MESHAGENT_HOST"), env.get("MESHAGENT_PORT"), env.get("MESHAGENT_WEBHOOK_SECRET")
        ),
    )


def has_screen() -> bool:
    """Whether a browser window can be opened here."""
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def variable(name: str) -> str | None:
    """One variable of our environment, by a name that the user made up; None when it is not set or empty."""
    return os.environ.get(name) or None


_SECRET_NAME = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)$")


def secret_values(environ: Mapping[str, str] | None = None) -> frozenset[str]:
    """What our environment has under the names of keys and tokens, but for paths of files."""
    env = os.environ if environ is None else environ
    found = {value.strip() for name, value in env.items() if _SECRET_NAME.search(name.upper())}
    return frozenset(value for value in found if value and not _is_path(value))


def _is_path(text: str) -> bool:
    try:
        return text.startswith(("/", "~", "./")) and Path(text).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


def load_providers(settings: Settings, environ: Mapping[str, str] | None = None) -> tuple[ModelProvider, ...]:
    """The providers of models, with what the environment says of each. Raises `UsageError` for a file of the
    user's that cannot be used.
    """
    env = os.environ if environ is None else environ
    known = parse_providers(_toml(Path(__file__).with_name(_PROVIDERS)), {}, _PROVIDERS)
    own = settings.providers_file
    if own is not None:
        known = parse_providers(_toml(own), known, str(own))
    return tuple(provider.with_environment(env) for provider in known.values())


def environment_for_child(names: tuple[str, ...]) -> dict[str, str]:
    """The named variables of our environment that are set; a child process gets these and no others."""
    return {name: os.environ[name] for name in names if name in os.environ}


def settings_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The user's folder of settings files."""
    env = os.environ if environ is None else environ
    base = env.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path(env.get("HOME") or Path.home()) / ".config") / "process"


def work_folder() -> Path:
    """The folder we were started in; the root where that is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


def _providers_file(env: Mapping[str, str], home: Path) -> Path | None:
    """The user's own data file; only one that is named has to exist."""
    if "PROCESS_PROVIDERS" in env:
        return Path(env["PROCESS_PROVIDERS"]).expanduser()
    own = settings_folder({**env, "HOME": str(home)}) / _PROVIDERS
    return own if own.is_file() else None


def _toml(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be used: {error}.") from error


def _smtp(env: Mapping[str, str]) -> SmtpSettings:
    return SmtpSettings(
        hostname=env.get("SMTP_HOSTNAME"),
        port=_port(env, "SMTP_PORT"),
        username=env.get("SMTP_USERNAME"),
        password=env.get("SMTP_PASSWORD"),
        local_hostname=env.get("SMTP_LOCAL_HOSTNAME"),
        starttls=_switch(env, "SMTP_STARTTLS"),
        mail_domain=env.get("MESHAGENT_MAIL_DOMAIN"),
    )


def _port(env: Mapping[str, str], name: str) -> int | None:
    value = env.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and 0 < int(value[:6]) < 65536):
        raise UsageError(f"{name} is not a port: {value[:40]!r}.", fix="Give a number from 1 to 65535.")
    return int(value)


def _switch(env: Mapping[str, str], name: str) -> bool | None:
    value = env.get(name)
    if value is None:
        return None
    if value.lower() in ("true", "1", "yes", "on"):
        return True
    if value.lower() in ("false", "0", "no", "off"):
        return False
    raise UsageError(f"{name} cannot be {value[:40]!r}.", fix="Give true or false.")


def _url(env: Mapping[str, str], name: str) -> str | None:
    value = env.get(name)
    if value is None:
        return None
    if not value.startswith(("http://", "https://", "ws://", "wss://")):
        raise UsageError(
            f"{name} is not a web address: {value!r}.", fix="Give it with its scheme, like https://host."
        )
    return value.rstrip("/")


def _default_data_dir(env: Mapping[str, str], home: Path) -> Path:
    base = env.get("XDG_DATA_HOME")
    return Path(base) / "process" if base else home / ".local" / "share" / "process"
