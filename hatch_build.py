"""Build hook: brings the page's front-end packages from npm, with the Node that comes as a wheel."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FrontEndPackages(BuildHookInterface):  # type: ignore[type-arg]
    """Placed here so that `pip install .` needs no Node on the user's machine."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the wheel is put together; the studio package fills this in."""
