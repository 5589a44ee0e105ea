"""The conversation as the model that is asked can read it, found once for what only grows. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from backends.llm.hosted import for_provider, readable_documents
from process_agent.core.providers import ModelProvider
from process_agent.wire.llm.request import Hosted, HostedTool, Item


class AsRead:
    """Of the items of one conversation, which only grow."""

    def __init__(self) -> None:
        self._for: tuple[ModelProvider, frozenset[HostedTool], bool] | None = None
        self._taken = 0
        self._found: list[Item] = []
        self._hosted = False
        """Whether tools of a provider's own were used: what is told of those depends on what came later."""

    def items(
        self,
        items: Sequence[Item],
        provider: ModelProvider,
        tools: frozenset[HostedTool],
        *,
        reasoning: bool = True,
    ) -> tuple[Item, ...]:
        """What a model of this provider can read, asked with these tools of its own, and with `reasoning` or
        without. `items` are those of the last time, and what came since.
        """
        if self._for is None or self._for[0] is not provider or self._for[1:] != (tools, reasoning):
            self._for, self._taken, self._found = (provider, tools, reasoning), 0, []
        new = items[self._taken :]
        self._hosted = self._hosted or any(isinstance(item, Hosted) for item in new)
        if self._hosted:
            return _read(items, provider, tools, reasoning)
        self._found += _read(new, provider, tools, reasoning)
        self._taken = len(items)
        return tuple(self._found)


def _read(
    items: Sequence[Item], provider: ModelProvider, tools: frozenset[HostedTool], reasoning: bool
) -> tuple[Item, ...]:
    return for_provider(readable_documents(items, provider), provider.name, tools, reasoning=reasoning)
