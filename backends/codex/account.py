"""Who pays for the model: the scripted model, an API key, or the user's own Codex login."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from process_agent.core.backend import BackendConfig
from process_agent.errors import AuthError, BackendError

OPENAI_URL: Final = "https://api.openai.com/v1"
KEY_VARIABLE: Final = "PROCESS_MODEL_KEY"
"""Variable of the app-server that holds the provider's key; commands do not get it."""

SCRIPTED_MODEL: Final = "scripted"
SCRIPTED_LABEL: Final = "scripted model"
TEMPLATE_MODEL: Final = "gpt-5.5"
"""The catalogue entry that works with any Responses server (page section 9)."""

THREE_WAYS: Final = (
    "Set OPENAI_API_KEY, or run `codex login`, or pass `--provider scripted` for a demonstration."
)


@dataclass(frozen=True, slots=True)
class Account:
    """Where requests to the model go, and with what.

    `provider` is our name of a provider defined by us, or None for the user's own configuration in `home`.
    `slugs` are the models to describe to Codex like `TEMPLATE_MODEL`, because it does not know them.
    """

    label: str
    home: Path
    provider: str | None = None
    base_url: str | None = None
    key: str | None = None
    slugs: tuple[str, ...] = ()
    model: str | None = None

    @property
    def own_home(self) -> bool:
        """Whether the home is ours, not the user's."""
        return self.provider is not None

    @property
    def priced(self) -> bool:
        """Whether tokens cost what OpenAI's list of prices says: a key of its own API, no login, no proxy."""
        return bool(self.key) and urlsplit(self.base_url or "").hostname == "api.openai.com"

    @property
    def scripted(self) -> bool:
        """Whether this is the scripted model."""
        return self.provider == SCRIPTED_MODEL


def choose_account(config: BackendConfig) -> Account:
    """Decide from the configuration. Raises `AuthError` when there is no way to a model."""
    home = agent_folder(config)
    pinned = tuple(choice.model for choice in config.models if choice.model)
    if config.provider == "scripted":
        if not config.base_url:
            raise BackendError("The scripted model was chosen, and its address is not known.")
        slugs = pinned or (SCRIPTED_MODEL,)
        return Account(SCRIPTED_LABEL, home, SCRIPTED_MODEL, config.base_url, config.api_key, slugs, slugs[0])
    if config.api_key or config.base_url:
        return _with_key(config, home, pinned)
    return Account("Codex login", user_home(config), model=pinned[0] if pinned else None)


def agent_folder(config: BackendConfig) -> Path:
    """Where this agent keeps files for Codex."""
    return config.data_dir.absolute() / "codex" / _folder_name(config.agent_name)


def user_home(config: BackendConfig) -> Path:
    """The user's own Codex folder. Raises `AuthError` when nobody ever used it."""
    environment = config.environment
    chosen = environment.get("CODEX_HOME")
    home = Path(chosen).expanduser() if chosen else Path(environment.get("HOME") or Path.home()) / ".codex"
    if not any((home / name).is_file() for name in ("auth.json", "config.toml")):
        raise no_model()
    return home.absolute()


def no_model() -> AuthError:
    """The error when no credentials were found."""
    return AuthError("Codex has no model to work with: no API key and no login was found.", fix=THREE_WAYS)


def _with_key(config: BackendConfig, home: Path, pinned: tuple[str, ...]) -> Account:
    url = config.base_url or OPENAI_URL
    host = urlsplit(url).hostname or url
    label = f"API key, {host}" if config.api_key else f"no key, {host}"
    if host.endswith("openai.com"):
        model = pinned[0] if pinned else None
        return Account(label, home, "openai_http", url, config.api_key, (), model)
    slugs = pinned or (TEMPLATE_MODEL,)
    return Account(label, home, "openai_http", url, config.api_key, slugs, slugs[0])


def _folder_name(agent_name: str) -> str:
    """The agent's name as one path component."""
    name = "".join(char if char.isalnum() or char in "-_." else "_" for char in agent_name).strip(".")
    return name[:100] or "agent"
