"""Who offers models over HTTP: the entries of the data files `providers.toml`, ours and the user's. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, get_args

from process_agent.core.content import Json
from process_agent.errors import UsageError

type Dialect = Literal["responses", "messages", "chat"]

_DIALECTS: tuple[str, ...] = get_args(Dialect.__value__)

MESSAGES_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
"""Levels of the dialect `messages`, which has them for all models that reason: as a budget, or by name."""


@dataclass(frozen=True, slots=True)
class ModelProvider:
    """Where requests for a provider's models go, and with what.

    `base_url` has no slash at its end; the dialect's path comes after it. `key` is the user's key, or a token
    that stands for it, read from `key_variable`; a `local` server needs none. `default_model` is the one that
    `--backend llm` offers; `reasoning` are patterns of the models that show their reasoning when asked to,
    `adaptive` those of them that decide themselves how long they think, and refuse a budget. `efforts` are
    levels of reasoning effort by such patterns, the first that fits counts; `reasoned_calls` are patterns of
    the models that refuse a call of a tool without the reasoning before it. `extra` are members of every
    request's body.
    """

    name: str
    friendly_name: str
    dialect: Dialect
    base_url: str
    key: str | None = field(default=None, repr=False)
    key_variable: str | None = None
    url_variable: str | None = None
    local: bool = False
    default_model: str | None = None
    reasoning: tuple[str, ...] = ()
    adaptive: tuple[str, ...] = ()
    efforts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    reasoned_calls: tuple[str, ...] = ()
    max_output: int | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)
    web_search: bool = False
    """Whether its dialect's own search of the web is known to work there."""
    image_generation: bool = False
    """Whether the tool that makes images is."""
    documents: tuple[str, ...] = ()
    """Patterns of media types that its models read as documents."""
    listed: bool = True
    """Whether its models cost what its list of prices says: nobody else stands between."""

    @property
    def usable(self) -> bool:
        """Whether there is all that a request needs."""
        return self.key is not None or self.local

    def reasons(self, model: str) -> bool:
        """Whether this model shows its reasoning."""
        return any(fnmatchcase(model, pattern) for pattern in self.reasoning)

    def adapts(self, model: str) -> bool:
        """Whether this model decides itself how long it thinks."""
        return any(fnmatchcase(model, pattern) for pattern in self.adaptive)

    def efforts_of(self, model: str) -> tuple[str, ...] | None:
        """The levels of reasoning effort that this model has, from the least on: none for one that takes no
        effort, None where nobody knows, and the server may say.
        """
        for pattern, levels in self.efforts:
            if fnmatchcase(model, pattern):
                return levels
        if self.dialect != "messages":
            return None
        if self.adapts(model):
            return MESSAGES_EFFORTS
        return ("none", *MESSAGES_EFFORTS) if self.reasons(model) else ()

    def calls_after_reasoning(self, model: str) -> bool:
        """Whether this model refuses calls of tools without the reasoning before them."""
        return any(fnmatchcase(model, pattern) for pattern in self.reasoned_calls)

    def reads(self, kind: str) -> bool:
        """Whether its models read documents of this media type."""
        return any(fnmatchcase(kind, pattern) for pattern in self.documents)

    def with_environment(self, variables: Mapping[str, str]) -> ModelProvider:
        """With key and address as the environment has them. An address of one's own may need no key."""
        key = variables.get(self.key_variable or "") or None
        url = variables.get(self.url_variable or "") or None
        if url is None:
            return replace(self, key=key)
        return replace(self, key=key, base_url=url.rstrip("/"), local=True, listed=False)


def behind(
    providers: Iterable[ModelProvider], base_url: str, key: str, label: str
) -> tuple[ModelProvider, ...]:
    """All providers as one server stands for them, at `base_url` with its `/v1`, in all dialects."""
    root = base_url.removesuffix("/v1")
    return tuple(
        replace(
            provider,
            friendly_name=label,
            base_url=root if provider.dialect == "messages" else base_url,
            key=key,
            listed=False,
        )
        for provider in providers
    )


def through_project(
    providers: Iterable[ModelProvider], openai_url: str, token: str
) -> tuple[ModelProvider, ...]:
    """The providers that MeshAgent's proxy stands for, with the participant's token in place of a key;
    `openai_url` is its address for OpenAI's (gateway page, section 1.1).
    """
    root = openai_url.removesuffix("/openai/v1")
    urls = {"openai": openai_url, "anthropic": f"{root}/anthropic"}
    return tuple(
        replace(provider, base_url=urls[provider.name], key=token, listed=False)
        for provider in providers
        if provider.name in urls
    )


def further(name: str, base_url: str, key: str | None) -> ModelProvider:
    """A provider with a Responses API that the command line adds."""
    return ModelProvider(name, name, "responses", base_url, key, local=True)


def parse_providers(
    raw: Mapping[str, Any], known: Mapping[str, ModelProvider], where: str
) -> dict[str, ModelProvider]:
    """The providers of a data file, added to those known: what it says of a known one changes that.

    Raises `UsageError` that names `where` and the member that is wrong.
    """
    found = dict(known)
    tables = raw.get("providers", {})
    if not isinstance(tables, dict):
        raise UsageError(f"{where}: `providers` is not a table.")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(f"{where}: `providers.{name}` is not a table.")
        found[name] = _provider(name, table, known.get(name), f"{where}: `providers.{name}")
    return found


def _provider(name: str, table: Mapping[str, Any], before: ModelProvider | None, where: str) -> ModelProvider:
    unknown = sorted(set(table) - set(_KINDS))
    if unknown:
        raise UsageError(f"{where}.{unknown[0]}` is unknown. There is: {', '.join(_KINDS)}.")
    for member, value in table.items():
        if not isinstance(value, _KINDS[member]):
            raise UsageError(f"{where}.{member}` has the wrong type.")
    if "/" in name or not name.strip():
        raise UsageError(f"{where}` cannot be a provider's name.")
    dialect = table.get("dialect", before.dialect if before else "chat")
    if dialect not in _DIALECTS:
        raise UsageError(f"{where}.dialect` is none of {', '.join(_DIALECTS)}.")
    url = table.get("base_url", before.base_url if before else "")
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{where}.base_url` is not a web address.")
    values = {member: value for member, value in table.items() if member not in ("dialect", "base_url")}
    for listed in ("reasoning", "adaptive", "documents", "reasoned_calls"):
        if listed in values:
            values[listed] = tuple(map(str, values[listed]))
    if "efforts" in values:
        values["efforts"] = _efforts(values["efforts"], before, where)
    _check_tools(values, dialect, where)
    start = before or ModelProvider(name, name, dialect, url)
    return replace(start, dialect=dialect, base_url=url.rstrip("/"), **values)


def _efforts(
    table: Mapping[str, Any], before: ModelProvider | None, where: str
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Those of a file come before those known: the first that fits counts."""
    for pattern, levels in table.items():
        if not isinstance(levels, list) or not all(isinstance(level, str) for level in levels):
            raise UsageError(f'{where}.efforts."{pattern}"` is not a list of words.')
    own = tuple((pattern, tuple(levels)) for pattern, levels in table.items())
    return own + (before.efforts if before is not None else ())


def _check_tools(values: Mapping[str, Any], dialect: str, where: str) -> None:
    for member, dialects in _WITH_TOOLS.items():
        if values.get(member) and dialect not in dialects:
            raise UsageError(f"{where}.{member}` needs the dialect {' or '.join(dialects)}.")


_WITH_TOOLS: dict[str, tuple[str, ...]] = {
    "web_search": ("responses", "messages"),
    "image_generation": ("responses",),
}
"""Dialects that have these tools of a provider's own."""

_KINDS: dict[str, type] = {
    "friendly_name": str,
    "dialect": str,
    "base_url": str,
    "key_variable": str,
    "url_variable": str,
    "local": bool,
    "default_model": str,
    "reasoning": list,
    "adaptive": list,
    "efforts": dict,
    "reasoned_calls": list,
    "max_output": int,
    "extra": dict,
    "web_search": bool,
    "image_generation": bool,
    "documents": list,
}
