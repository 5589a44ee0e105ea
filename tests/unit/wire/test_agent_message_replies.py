"""What replies say, key by key, where clients count on it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from process_agent.core import replies as a
from process_agent.core.ids import MessageId
from process_agent.core.models import ModelInfo, Pricing, ProviderModels
from process_agent.wire.agent_messages import encode_reply


def model_of(pricing: Pricing | None) -> dict[str, Any]:
    """The only model of a `models.response`."""
    provider = ProviderModels("openai", "OpenAI", "llm", "gpt-x", (ModelInfo("gpt-x", pricing=pricing),))
    reply = a.ModelsListed(MessageId("m"), (provider,))
    body: dict[str, Any] = encode_reply(reply, message_id="n", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    (listed,) = body["providers"]
    (model,) = listed["models"]
    return dict(model)


@pytest.mark.parametrize(
    ("pricing", "told"),
    [
        (None, None),
        (Pricing(2.5, 15), {"input_tokens": 2.5e-6, "output_tokens": 1.5e-5}),
        (
            Pricing(2.5, 15, cached=0.25, written=3),
            {
                "input_tokens": 2.5e-6,
                "output_tokens": 1.5e-5,
                "cached_tokens": 2.5e-7,
                "cache_write_tokens": 3e-6,
            },
        ),
    ],
)
def test_prices_are_dollars_for_one_token(pricing: Pricing | None, told: dict[str, float] | None) -> None:
    assert model_of(pricing)["pricing"] == (told and pytest.approx(told))
