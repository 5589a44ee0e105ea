"""`process deploy` at MeshAgent: a container service of a room, or of the whole project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.cli.service_place import Wanted
    from process_agent.config import Settings


def deploy_hosted(context: typer.Context, wanted: Wanted, settings: Settings) -> None:
    """Create or update the service. Raises `UsageError`."""
    raise UsageError("Services of hosted rooms are not here yet.", fix="Use process spec.")
