"""`process threads import`: threads from files. Adds, and changes nothing that is there."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.threads import (
    AgentName,
    Json,
    Options,
    Room,
    ThreadDir,
    folders_of,
    joined,
    place_of,
    run,
    store_in,
)
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.threads.kept.lines import Line


def import_threads(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `process threads export` wrote: JSON lines.")
    ],
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
    no_files: Annotated[
        bool, typer.Option("--no-files", help="Leave out the files that were attached or shown.")
    ] = False,
) -> None:
    """Bring in threads that were exported here or in another room. The whole file is checked first.

    A thread keeps its id where that is free, and has a new one else: nothing is written over. So
    do the files in it: one whose path another file has goes beside that.
    """
    options = Options(room, agent_name, json, local, data_dir, thread_dir=thread_dir).over(context.obj)
    run(_imported(options, file, files=not no_files))


async def _imported(options: Options, file: Path, *, files: bool) -> AsyncGenerator[str]:
    from datetime import UTC, datetime
    from uuid import uuid4

    from process_agent.threads.kept.transfer import Importing, Media
    from process_agent.threads.paths import namespace_of

    origins = _checked(file)
    async with joined(options) as (room, paths):
        try:
            folders = folders_of(room, options, paths)
        except UsageError:
            folders = {}
        agent, directory = _target(origins, folders)
        importing = Importing(
            room.datasets,
            namespace_of(directory),
            Media(store_in(room, agent, directory).images, room.files if files else None),
            clock=lambda: datetime.now(UTC),
            new_id=lambda: str(uuid4()),
        )
        async for found in importing.take(_lines(file)):
            if options.json:
                told = {
                    "path": found.entry.path,
                    "from": found.came_from,
                    "name": found.entry.name,
                    "rows": found.rows,
                }
                yield json_module.dumps(told, ensure_ascii=False)
            else:
                yield f"{found.entry.path}  ({found.rows} rows)"


def _lines(file: Path) -> Iterator[Line]:
    from process_agent.threads.kept.lines import read

    try:
        with file.open(encoding="utf-8") as text:
            yield from read(text)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no text: {error.reason}.") from error


def _checked(file: Path) -> list[str]:
    """Read the whole file before anything is written; the paths of its threads."""
    from process_agent.threads.kept.lines import ThreadLine

    found: list[str] = [line.entry.path for line in _lines(file) if isinstance(line, ThreadLine)]
    if not found:
        raise UsageError(
            f"{file} has no threads.", fix="`process threads export --format jsonl` writes some."
        )
    return found


def _target(origins: list[str], folders: dict[str, str]) -> tuple[str, str]:
    """The agent and the folder the threads go to: where they came from, if that is here; else the only
    folder; in a room without agents, that of the agent they came from.
    """
    from process_agent.core.ids import ThreadId

    came_from = {place_of(ThreadId(path)) for path in origins}
    if len(came_from) == 1:
        agent, directory = next(iter(came_from))
        if directory in folders.values() or (agent and not folders):
            return agent, directory
    if len(folders) == 1:
        return next(iter(folders.items()))
    names = ", ".join(folders) or "nobody"
    raise UsageError(f"To whose threads are they to go? Here are {names}.", fix="Say it with --agent-name.")
