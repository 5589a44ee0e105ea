"""Options that several commands have in common, so that they read alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="FOLDER", help="Data folder. [default: $PROCESS_DATA_DIR, or the user's]"
    ),
]
ProjectId = Annotated[
    str | None,
    typer.Option("--project-id", metavar="ID", help="MeshAgent project. [default: $MESHAGENT_PROJECT_ID]"),
]
Local = Annotated[bool, typer.Option("--local", help="The local room, whatever credentials are set.")]
