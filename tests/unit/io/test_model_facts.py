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
    assert found["openai", "gpt-5.4"].pricing == Pricing(2.5, 15.0, 0.25)
    for facts in found.values():
        assert facts.source
        assert facts.pricing is None or 0 < facts.pricing.input < facts.pricing.output


def test_the_users_file_comes_second(tmp_path: Path) -> None:
    (tmp_path / OWN_FILE).write_text(OWN)
    found = known_models(tmp_path)
    assert found["openai", "gpt-5.5"] == ModelFacts(pricing=Pricing(4, 20))
    assert found["ollama", "qwen3:8b"].context_window == 32_768
    assert found["openai", "gpt-5.4"].pricing is not None


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
