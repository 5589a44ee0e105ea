"""How full a model's context is: what the provider counted last, and an estimate of what came since. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from backends.llm.estimates import of_item, of_items
from process_agent.wire.llm.request import Item

MOST: Final = 3.0
"""How far the provider's count may correct the estimate: for a tokenizer that is new to us, or text that is
in no language.
"""


class Fill:
    """Knows the items of a conversation by their number of tokens; nothing is estimated twice.

    `frame` is what comes with every request beside them: instructions and tools.
    """

    def __init__(self, items: Sequence[Item] = ()) -> None:
        self.frame = 0
        self._all = of_items(items)
        self._since = 0
        self._counted: tuple[int, str] | None = None
        self._correction = 1.0

    def add(self, items: Iterable[Item]) -> None:
        """More was said."""
        more = sum(map(of_item, items))
        self._all += more
        self._since += more

    def counted(self, tokens: int, model: str) -> None:
        """The provider of a model counted this many tokens in everything there is by now."""
        self._correction = min(max(tokens / max(self._all + self.frame, 1), 1.0), MOST)
        self._counted = (tokens, model)
        self._since = 0

    def tokens(self, model: str) -> int:
        """About how many tokens a request to the model would have. What another model counted is no less
        than what this one will.
        """
        estimate = round((self._all + self.frame) * self._correction)
        if self._counted is None:
            return estimate
        counted, of = self._counted
        known = counted + round(self._since * self._correction)
        return known if of == model else max(known, estimate)
