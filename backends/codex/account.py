"""Who pays for the model: the scripted model, an API key, or the user's own Codex login."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from process_agent.core.backend import BackendConfig, ModelEndpoint
from process_agent.core.models import ModelChoice
from process_agent.errors import AuthError, BackendError
from process_agent.io.command_profile import folder_name

OPENAI_URL: Final = "https://api.openai.com/v1"
KEY_VARIABLE: Final = "PROCESS_MODEL_KEY"
"""Variable of the app-server that holds the provider's key; commands do not get it."""

SCRIPTED_MODEL: Final = "scripted"
SCRIPTED_LABEL: Final = "scripted model"
TEMPLATE_MODEL: Final = "gpt-5.5"
"""The catalogue entry that works with any Responses server (page section 9)."""

THREE_WAYS: Final = (
    "Set OPENAI_API_KEY, or run `process login codex`, or pass `--provider scripted` for a demonstration; in "
    "a hosted room `--provider meshagent` has its project pay."
)


@dataclass(frozen=True, slots=True)
class Account:
    """Where requests to the model go, and with what.

    `home` is Codex's folder: the user's, with configuration, MCP servers and skills, or, with `own_home`, one
    that belongs to this agent. `provider` is our name of a provider defined by us, or None for the one that
    the configuration in `home` names.
    `slugs` are the models to describe to Codex like `TEMPLATE_MODEL`, because it does not know them.
    """

    label: str
    home: Path
    provider: str | None = None
    base_url: str | None = None
    key: str | None = field(default=None, repr=False)
    slugs: tuple[str, ...] = ()
    model: str | None = None
    own_home: bool = False
    extra: tuple[str, ...] = ()
    """Models of further providers, to describe beside those that Codex knows."""

    @property
    def priced(self) -> bool:
        """Whether tokens cost what OpenAI's list of prices says: a key of its own API, no login, no proxy."""
        return bool(self.key) and urlsplit(self.base_url or "").hostname == "api.openai.com"

    def login_stamp(self) -> tuple[int, int] | None:
        """Tells one login in Codex's folder from another; None where it does not count, or cannot be seen."""
        if self.provider is not None:
            return None
        try:
            found = (self.home / "auth.json").stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    @property
    def scripted(self) -> bool:
        """Whether this is the scripted model."""
        return self.provider == SCRIPTED_MODEL


def choose_account(config: BackendConfig) -> Account:
    """Decide from the configuration. Raises `AuthError` when there is no way to a model.

    Where all models that the operator named are of further providers, the first of these is the account.
    """
    pinned = models_of(config, None)
    named = {endpoint.name: models_of(config, endpoint) for endpoint in config.endpoints}
    first = next((endpoint for endpoint in config.endpoints if named[endpoint.name]), None)
    if first is not None and not pinned:
        account = _with_endpoint(config, first, named[first.name])
    else:
        account = _own_account(config, pinned)
    others = [model for name, models in named.items() if name != account.provider for model in models]
    return replace(account, extra=tuple(dict.fromkeys(others)))


def models_of(config: BackendConfig, endpoint: ModelEndpoint | None) -> tuple[str, ...]:
    """The models that the operator named for a further provider, or, with None, for none of those."""
    names = {each.name for each in config.endpoints}
    chosen = [choice for choice in config.models if choice.model]
    if endpoint is None:
        return tuple(choice.model for choice in chosen if choice.model and choice.provider not in names)
    return tuple(choice.model for choice in chosen if choice.model and choice.provider == endpoint.name)


def endpoint_of(config: BackendConfig, account: Account | None, model: ModelChoice) -> str | None:
    """The further provider that a model is of; None for one of the account. Without a provider the name has
    to do, where only one of them has a model of that name.
    """
    having = [each.name for each in config.endpoints if model.model in models_of(config, each)]
    provider = model.provider
    if provider is None and len(having) == 1 and model.model not in models_of(config, None):
        provider = having[0]
    primary = None if account is None else account.provider
    return provider if provider in {each.name for each in config.endpoints} - {primary} else None


def _own_account(config: BackendConfig, pinned: tuple[str, ...]) -> Account:
    if config.provider == "scripted":
        if not config.base_url:
            raise BackendError("The scripted model was chosen, and its address is not known.")
        slugs = pinned or (SCRIPTED_MODEL,)
        return Account(
            SCRIPTED_LABEL,
            config.home or agent_folder(config),
            SCRIPTED_MODEL,
            config.base_url,
            config.api_key,
            slugs,
            slugs[0],
            own_home=config.home is None,
        )
    if config.api_key or config.base_url:
        return _with_key(config, pinned)
    return Account("Codex login", user_home(config), model=pinned[0] if pinned else None)


def agent_folder(config: BackendConfig) -> Path:
    """Where this agent keeps files for Codex."""
    return config.data_dir.absolute() / "codex" / folder_name(config.agent_name)


def user_home(config: BackendConfig) -> Path:
    """The user's own Codex folder. Raises `AuthError` when nobody ever used it."""
    home = chosen_home(config)
    if not any((home / name).is_file() for name in ("auth.json", "config.toml")):
        raise no_model(home)
    return home


def chosen_home(config: BackendConfig) -> Path:
    """The Codex folder that `--codex-home` names, else `CODEX_HOME`, else the user's; it need not exist."""
    environment = config.environment
    chosen = config.home or environment.get("CODEX_HOME")
    home = Path(chosen).expanduser() if chosen else Path(environment.get("HOME") or Path.home()) / ".codex"
    return home.absolute()


def no_model(home: Path) -> AuthError:
    """The error when no credentials were found."""
    return AuthError(f"Codex has no model to work with: no API key, and no login in {home}.", fix=THREE_WAYS)


def _with_key(config: BackendConfig, pinned: tuple[str, ...]) -> Account:
    home, own_home = _home(config)
    url = config.base_url or OPENAI_URL
    host = urlsplit(url).hostname or url
    label = f"API key, {host}" if config.api_key else f"no key, {host}"
    if config.provider == "meshagent":
        label = f"MeshAgent project, {host}"
    if passes_through(url):
        model = pinned[0] if pinned else None
        return Account(label, home, "openai_http", url, config.api_key, (), model, own_home)
    slugs = pinned or (TEMPLATE_MODEL,)
    return Account(label, home, "openai_http", url, config.api_key, slugs, slugs[0], own_home)


def _with_endpoint(config: BackendConfig, endpoint: ModelEndpoint, models: tuple[str, ...]) -> Account:
    home, own_home = _home(config)
    url, key = endpoint.base_url, endpoint.api_key
    label = f"{endpoint.name}, {urlsplit(url).hostname or url}"
    return Account(label, home, endpoint.name, url, key, models, models[0], own_home)


def passes_through(url: str) -> bool:
    """Whether models there are OpenAI's own, as Codex knows them: its API, or a proxy like MeshAgent's, whose
    addresses end so (gateway page, section 1).
    """
    parts = urlsplit(url)
    return (parts.hostname or "").endswith("openai.com") or parts.path.rstrip("/").endswith("/openai/v1")


def _home(config: BackendConfig) -> tuple[Path, bool]:
    """Codex's folder, and whether it is the agent's own. A key says who pays; servers, skills and settings
    are the user's all the same, where there are any.
    """
    home = chosen_home(config)
    own = config.home is None and not home.is_dir()
    return (agent_folder(config) if own else home), own
