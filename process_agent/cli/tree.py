"""The tree of commands as `process` runs it: typer's, with what files may say put onto it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer.main

from process_agent.cli import profiles
from process_agent.cli.app import app

if TYPE_CHECKING:
    from typer.core import TyperGroup


def command() -> TyperGroup:
    """All commands, made anew."""
    root = typer.main.get_command(app)
    profiles.attach(root)
    return root  # type: ignore[return-value]  # of a Typer with several commands it is a group
