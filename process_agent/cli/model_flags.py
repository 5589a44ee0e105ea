"""Flags about the model behind an agent: whose account, how much it reasons, which skills it has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from process_agent.errors import UsageError

ReasoningEffort = Annotated[
    str | None,
    typer.Option(
        "--reasoning-effort",
        metavar="LEVEL",
        help="How much models reason, like low or high, where a thread (/effort) or turn does not say.",
    ),
]
SkillDirs = Annotated[
    list[Path] | None,
    typer.Option(
        "--skill-dir",
        metavar="FOLDER",
        help="A folder of agent skills, or one skill, for the agent to use. Repeatable.",
    ),
]
CodexHome = Annotated[
    Path | None,
    typer.Option(
        "--codex-home",
        metavar="FOLDER",
        help="Codex's folder: configuration, skills, login. [default: $CODEX_HOME, or ~/.codex]",
    ),
]
ModelsFile = Annotated[
    Path | None,
    typer.Option(
        "--models-file",
        metavar="FILE",
        help="Your own context windows and prices of models, in TOML. [default: $PROCESS_MODELS, or "
        "models.toml in the data folder]",
    ),
]


@dataclass(frozen=True, slots=True)
class ModelFlags:
    """The flags, checked."""

    effort: str | None = None
    skill_dirs: tuple[Path, ...] = ()
    codex_home: Path | None = None
    models_file: Path | None = None


def model_flags(
    effort: str | None,
    skill_dirs: list[Path] | None,
    codex_home: Path | None,
    models_file: Path | None = None,
) -> ModelFlags:
    """The flags with their folders found. Raises `UsageError`."""
    return ModelFlags(
        effort=None if effort is None else effort_word("--reasoning-effort", effort),
        skill_dirs=tuple(dict.fromkeys(_folder("--skill-dir", path) for path in skill_dirs or ())),
        codex_home=None if codex_home is None else _folder("--codex-home", codex_home),
        models_file=None if models_file is None else models_file.expanduser().absolute(),
    )


def effort_word(flag: str, text: str) -> str:
    """A reasoning effort, which models name themselves. Raises `UsageError`."""
    if not text.isidentifier() or len(text) > 40:
        raise UsageError(f"{flag} cannot be {text[:40]!r}.", fix="Give a word like low, medium or high.")
    return text


def _folder(flag: str, path: Path) -> Path:
    found = path.expanduser().absolute()
    if not found.is_dir():
        raise UsageError(f"{flag} {found} is not a folder.", fix="Make it, or name another.")
    return found
