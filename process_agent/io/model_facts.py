"""Reads what is known of models: the file that comes with the package, then the user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from process_agent.core.models import KnownModels, ModelFacts, Pricing
from process_agent.errors import UsageError

OWN_FILE = "models.toml"
"""The user's file in the data folder."""

EVERY = "*"
"""Stands for every model of a provider."""

_FIGURES = ("input", "cached", "written", "output", "search")
_TEXTS = ("friendly_name", "source")
_MEMBERS = frozenset((*_FIGURES, *_TEXTS, "context_window", "read", "images"))


def known_models(data_dir: Path, named: Path | None = None) -> KnownModels:
    """All that is known, by provider and model; entries of the user's file replace those of the package. That
    file is the one that was `named` and has to be there, else the one in the data folder if there is one.

    Raises `UsageError` for a file that cannot be read, naming the entry.
    """
    shipped = files(__package__).joinpath("models.toml").read_text("utf-8")
    found = dict(read_models(shipped, "the package's models.toml"))
    if named is not None or (data_dir / OWN_FILE).exists():
        found |= read_own(named or data_dir / OWN_FILE)[1]
    return _with_searches(found)


def read_own(file: Path) -> tuple[str, KnownModels]:
    """A file of the user's: its text, and what it says. Raises `UsageError`."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"The models file {file} cannot be read: {why}.") from error
    return text, read_models(text, str(file))


def read_models(text: str, name: str) -> KnownModels:
    """The entries of one file. Raises `UsageError`."""
    try:
        providers = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is no TOML: {error}.") from error
    found: dict[tuple[str, str], ModelFacts] = {}
    for provider, models in providers.items():
        for model, entry in _table(models, name, provider).items():
            where = f'{name}, [{provider}."{model}"]'
            found[provider, model] = _facts(_table(entry, name, f"{provider}.{model}"), where)
    return found


def _with_searches(found: Mapping[tuple[str, str], ModelFacts]) -> KnownModels:
    """The entries with the price of searches: their own, or the one that holds for every model."""
    general = {provider: facts.search for (provider, model), facts in found.items() if model == EVERY}
    full = dict[tuple[str, str], ModelFacts]()
    for (provider, model), facts in found.items():
        search = general.get(provider) if facts.search is None else facts.search
        if model != EVERY and facts.pricing is not None:
            facts = replace(facts, pricing=replace(facts.pricing, search=search))
        if model != EVERY:
            full[provider, model] = facts
    return full


def _table(value: object, name: str, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{name}: {what} is no table.", fix='Write it like [openai."gpt-5.5"].')
    return value


def _facts(entry: Mapping[str, Any], where: str) -> ModelFacts:
    if unknown := sorted(entry.keys() - _MEMBERS):
        raise UsageError(f"{where} has {unknown[0]!r}.", fix=f"It can have {', '.join(sorted(_MEMBERS))}.")
    prices = [entry.get(figure) for figure in _FIGURES]
    for figure, price in zip(_FIGURES, prices, strict=True):
        if price is not None and (isinstance(price, bool) or not isinstance(price, int | float) or price < 0):
            what = "a thousand searches" if figure == "search" else "a million tokens"
            raise UsageError(f"{where}: {figure} is no price in US dollars for {what}.")
    given, cached, written, output, search = prices
    part = cached is not None or written is not None
    if (given is None) != (output is None) or (part and given is None):
        raise UsageError(f"{where} has a price for one of input and output.", fix="Give both, or neither.")
    window = entry.get("context_window")
    if window is not None and (isinstance(window, bool) or not isinstance(window, int) or window < 1):
        raise UsageError(f"{where}: context_window is no number of tokens.")
    for member in _TEXTS:
        if not isinstance(entry.get(member, ""), str):
            raise UsageError(f"{where}: {member} is no text.")
    pricing = None if given is None or output is None else Pricing(given, output, cached, written)
    name, source = entry.get("friendly_name"), entry.get("source")
    return ModelFacts(name, window, pricing, source, search, _images(entry.get("images", {}), where))


def _images(given: object, where: str) -> Mapping[str, float]:
    """Prices of one image, by quality and size."""
    prices: Mapping[str, Any] = given if isinstance(given, dict) else {"images": None}
    for name, price in prices.items():
        if isinstance(price, bool) or not isinstance(price, int | float) or price < 0:
            raise UsageError(
                f"{where}: {name} is no price of an image.", fix='Write images = { "high 1024x1024" = 0.25 }.'
            )
    return {name: float(price) for name, price in prices.items()}
