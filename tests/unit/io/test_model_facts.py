"""The file of what is known of models, and the user's own beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.core.models import ModelFacts, Pricing
from process_agent.errors import UsageError
from process_agent.io.model_facts import OWN_FILE, known_models, read_models

OWN = """
[openai."gpt-5.5"]
input = 4
output = 20

[ollama."qwen3:8b"]
friendly_name = "Qwen 3"
context_window = 32768
source = "the server's own page"
"""


def test_every_shipped_entry_has_a_source_and_nothing_is_free(tmp_path: Path) -> None:
    found = known_models(tmp_path)
    assert found["openai", "gpt-5.4"].pricing == Pricing(2.5, 15.0, 0.25, search=10.0)
    for facts in found.values():
        assert facts.source
        assert facts.pricing is None or 0 < facts.pricing.input < facts.pricing.output
    unknown = [model for (_, model), facts in found.items() if facts.context_window is None]
    assert unknown == ["gpt-image-1"], "of every other model its context is known"
    images = found["openai", "gpt-image-1"].images
    assert 0 < images["low 1024x1024"] < images["medium 1024x1024"] < images["high 1024x1024"]
    assert ("openai", "*") not in found


def test_the_users_file_comes_second(tmp_path: Path) -> None:
    (tmp_path / OWN_FILE).write_text(OWN)
    found = known_models(tmp_path)
    assert found["openai", "gpt-5.5"] == ModelFacts(pricing=Pricing(4, 20, search=10.0))
    assert found["ollama", "qwen3:8b"].context_window == 32_768
    assert found["openai", "gpt-5.4"].pricing is not None


def test_the_price_of_searches_holds_for_every_model_that_has_no_other(tmp_path: Path) -> None:
    more = '[openai."*"]\nsearch = 7\n[openai.mine]\ninput = 1\noutput = 2\nsearch = 3\n'
    (tmp_path / OWN_FILE).write_text(OWN + more)
    found = known_models(tmp_path)

    def price(name: str) -> float | None:
        pricing = found["openai", name].pricing
        return None if pricing is None else pricing.search

    assert [price(name) for name in ("gpt-5.5", "gpt-5.4", "mine")] == [7, 7, 3]


def test_a_file_that_is_named_counts_instead_and_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / OWN_FILE).write_text("[ollama.other]\ncontext_window = 5\n")
    named = tmp_path / "mine.toml"
    named.write_text(OWN)
    found = known_models(tmp_path, named)
    assert found["ollama", "qwen3:8b"].context_window == 32_768
    assert ("ollama", "other") not in found
    with pytest.raises(UsageError, match="No such file"):
        known_models(tmp_path, tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[openai", "is no TOML"),
        ("openai = 1", "openai is no table"),
        ("[openai]\nx = 1", "openai.x is no table"),
        ("[openai.x]\nprice = 1", "has 'price'"),
        ("[openai.x]\ninput = -1\noutput = 1", "input is no price"),
        ("[openai.x]\ninput = true\noutput = 1", "input is no price"),
        ("[openai.x]\nsearch = -1", "search is no price in US dollars for a thousand searches"),
        ("[openai.x]\nimages = 1", "images is no price of an image"),
        ('[openai.x]\nimages = { "high" = true }', "high is no price of an image"),
        ("[openai.x]\ninput = 1", "one of input and output"),
        ("[openai.x]\ncached = 1", "one of input and output"),
        ("[openai.x]\ncontext_window = 1.5", "no number of tokens"),
        ("[openai.x]\nsource = 1", "source is no text"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_models(text, "models.toml")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / OWN_FILE).write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot be read"):
        known_models(tmp_path)
