"""The port of backends whose models can use tools that their providers run themselves."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class HostedTools(Protocol):
    """A backend that knows what to do with `BackendConfig.web_search` and `image_model`; its `start` raises
    `UsageError` where no provider on offer has the tool.
    """

    @property
    def hosts_tools(self) -> bool:
        """Whether it does."""
        ...
