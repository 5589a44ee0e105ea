"""`process threads export`: threads as files. Reads the room only."""

from __future__ import annotations

import json as json_module
import os
import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.threads import AgentName, Json, Options, Room, ThreadDir, joined, run, store_in
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from process_agent.cli.thread_tools.places import Place
    from process_agent.rooms.join import JoinedRoom
    from process_agent.viewer.paper.parts import Paper


class Format(StrEnum):
    """What is written."""

    MARKDOWN = "md"
    HTML = "html"
    LINES = "jsonl"


_SUFFIXES = {".md": Format.MARKDOWN, ".markdown": Format.MARKDOWN, ".html": Format.HTML, ".htm": Format.HTML}


@dataclass(frozen=True, slots=True)
class _Wish:
    options: Options
    threads: list[str]
    form: Format
    output: Path | None
    force: bool


def export(
    context: typer.Context,
    threads: Annotated[
        list[str] | None, typer.Argument(metavar="[THREAD]...", help="Path, start of the id, name or number.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All threads.")] = False,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="jsonl: everything, to be imported again; md; html: one page with diffs and images. "
            "[default: by the name of the output, else jsonl]",
            show_choices=True,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="File to write, or folder with one file for each thread. [default: -, standard output]",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Write threads as Markdown, as a page of HTML, or as JSON lines that `process threads import` takes.

    With --json what was written is told, one object per file.
    """
    if bool(threads) == everything:
        raise UsageError("Which threads?", fix="Name them, or say --all.")
    output = None if output == Path("-") else output
    chosen = form or _SUFFIXES.get("" if output is None else output.suffix.lower(), Format.LINES)
    options = Options(room, agent_name, json, local, data_dir, thread_dir=thread_dir).over(context.obj)
    if output is None and json:
        raise UsageError("--json tells what was written: it needs --output.")
    run(_exported(_Wish(options, threads or [], chosen, output, force)))


async def _exported(wish: _Wish) -> AsyncGenerator[str]:
    from process_agent.cli.thread_tools.places import places

    async with joined(wish.options) as (room, paths):
        found = await places(room, wish.options, paths, wish.threads)
        if not found:
            raise UsageError("There are no threads.")
        if wish.output is None:
            if len(found) > 1 and wish.form is not Format.LINES:
                raise UsageError(f"{len(found)} documents need a folder.", fix="Name one with --output.")
            for place in found:
                async for piece in _pieces(room, place, wish.form):
                    typer.echo(piece, nl=False)
            return
        into_folder = wish.output.is_dir() or (len(found) > 1 and wish.form is not Format.LINES)
        names = _names(found, wish.form) if into_folder else []
        if into_folder:
            wish.output.mkdir(parents=True, exist_ok=True)
            for place, name in zip(found, names, strict=True):
                yield await _write(room, [place], wish, wish.output / name)
        else:
            yield await _write(room, found, wish, wish.output)


async def _write(room: JoinedRoom, found: list[Place], wish: _Wish, path: Path) -> str:
    rows = 0
    with _new_file(path, force=wish.force) as file:
        for place in found:
            async for piece in _pieces(room, place, wish.form):
                file.write(piece)
                rows += piece.startswith('{"row":')
    if wish.options.json:
        told = {
            "file": str(path),
            "threads": [place.entry.path for place in found],
            "format": wish.form.value,
        }
        return json_module.dumps(told | ({"rows": rows} if wish.form is Format.LINES else {}))
    return f"Wrote {path}" + (f" ({len(found)} threads, {rows} rows)" if wish.form is Format.LINES else "")


@contextmanager
def _new_file(path: Path, *, force: bool) -> Iterator[TextIO]:
    """A file that is there under its name once it is whole. Threads are private: mode 600."""
    if os.path.lexists(path) and not force:
        raise UsageError(f"{path} is there already.", fix="Choose another name, or --force.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "x", encoding="utf-8", newline="\n", opener=_private) as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _names(found: Iterable[Place], form: Format) -> list[str]:
    """File names that say what is in them, each once."""
    names: list[str] = []
    for place in found:
        words = re.sub(r"[^\w-]+", "-", place.entry.name.casefold()).strip("-_")[:60]
        mark = re.sub(r"[^\w-]+", "", place.entry.path.rsplit("/", 1)[-1])[:40]
        names.append(f"{words or 'thread'}-{mark}.{form.value}")
    return [name if names.count(name) == 1 else f"{at}-{name}" for at, name in enumerate(names, start=1)]


async def _pieces(room: JoinedRoom, place: Place, form: Format) -> AsyncGenerator[str]:
    if form is Format.LINES:
        from process_agent.threads.kept.lines import write
        from process_agent.threads.kept.transfer import exported

        images = store_in(room, place.agent, place.directory).images
        owner = await _owner(room, place)
        async for line in exported(room.datasets, place.ref, place.entry, owner, images):
            yield write(line) + "\n"
        return
    paper = await _paper(room, place)
    if form is Format.HTML:
        from process_agent.viewer.paper.html import page as written
    else:
        from process_agent.viewer.paper.markdown import markdown as written
    for piece in written(paper):
        yield piece


async def _owner(room: JoinedRoom, place: Place) -> str | None:
    from process_agent.errors import RoomRequestError

    try:
        owners = await store_in(room, place.agent, place.directory, apart=True).owners()
    except RoomRequestError as error:
        if error.code != 1003:  # nobody keeps threads apart here
            raise
        return None
    return owners.get(place.entry.path)


async def _paper(room: JoinedRoom, place: Place) -> Paper:
    from process_agent.threads.kept.whole import events_of, pictures_of
    from process_agent.viewer.paper.parts import Paper
    from process_agent.viewer.transcript import Transcript

    events, cut = await events_of(room.datasets, place.ref, place.entry.path)
    transcript = Transcript(turn_limit=len(events) + 1)
    for event in events:
        transcript.apply(event)
    images = store_in(room, place.agent, place.directory).images
    pictures = await pictures_of(events, images)
    entry = place.entry
    return Paper(entry.path, entry.name, entry.created_at, entry.modified_at, transcript, pictures, cut)
