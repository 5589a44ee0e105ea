"""The port of backends whose models can use tools that their providers run themselves."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final, Literal, Protocol, runtime_checkable

type ProviderTool = Literal["web_search", "image_generation"]

WEB_SEARCH: Final[frozenset[ProviderTool]] = frozenset(("web_search",))
IMAGES: Final[frozenset[ProviderTool]] = frozenset(("image_generation",))


@runtime_checkable
class HostedTools(Protocol):
    """A backend that knows what to do with `BackendConfig.web_search` or `image_model`. Its start summary
    says whose tools are used.
    """

    @property
    def hosts_tools(self) -> AbstractSet[ProviderTool]:
        """The tools that it can offer; once it is started, those that models on offer have."""
        ...
