"""Prices of models at api.openai.com, where they are known to us. What is not here has no price.

The gateway page (section on usage) states gpt-5.4's; a figure is only added with its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from process_agent.core.models import Pricing

PRICES: Final[Mapping[str, Pricing]] = {
    "gpt-5.4": Pricing(input=2.50, output=15.00, cached=0.25),
}
