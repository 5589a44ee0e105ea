"""What `--provider` says: where models are, and who pays for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from process_agent.errors import UsageError

type Kind = Literal["default", "scripted", "meshagent"]

KINDS: tuple[Kind, ...] = ("default", "scripted", "meshagent")
_RESERVED = frozenset(
    (*KINDS, "openai", "openai_http", "ollama", "lmstudio", "oss", "anthropic", "codex", "llm")
)
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Providers:
    """The one that counts where nothing else is named, and further ones by name, each with its address."""

    kind: Kind = "default"
    endpoints: tuple[tuple[str, str], ...] = ()


def parse_providers(texts: Sequence[str], models: Sequence[str]) -> Providers:
    """The values of `--provider`; `models` are those of `--model`. Raises `UsageError`."""
    kinds = dict.fromkeys(_kind(text) for text in texts if "=" not in text)
    if len(kinds) > 1:
        raise UsageError(f"--provider cannot be {' and '.join(kinds)} at once.")
    endpoints = [_endpoint(text) for text in texts if "=" in text]
    names = [name for name, _ in endpoints]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--provider {name} is given twice.")
        if not any(f"/{name}/" in f"/{model}" for model in models):
            raise UsageError(
                f"--provider {name} has no models.", fix=f"Name them, like --model codex/{name}/MODEL."
            )
    return Providers(next(iter(kinds), "default"), tuple(endpoints))


def key_variable(name: str) -> str:
    """The environment variable that holds the key of a further provider."""
    return f"{name.upper().replace('-', '_')}_API_KEY"


def _kind(text: str) -> Kind:
    for known in KINDS:
        if known == text:
            return known
    raise UsageError(
        f"--provider cannot be {text!r}.", fix=f"Choose one of {', '.join(KINDS)}, or give NAME=ADDRESS."
    )


def _endpoint(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise UsageError(
            f"--provider {text[:100]!r}: a provider cannot be called {name[:40]!r}.",
            fix="Choose a word of small letters, digits, - and _ that is not a provider's name already.",
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise UsageError(
            f"--provider {name}: that is no address of a Responses API.",
            fix=f"Give it like {name}=https://host/v1; its key comes from the variable {key_variable(name)}.",
        )
    return name, url.rstrip("/")
