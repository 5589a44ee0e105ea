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
    from process_agent.threads.kept.lines import FileLine
    from process_agent.threads.kept.transfer import Media
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
    files: bool


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
    no_files: Annotated[
        bool, typer.Option("--no-files", help="Leave out the files that were attached or shown.")
    ] = False,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Write threads as Markdown, as a page of HTML, or as JSON lines that `process threads import` takes.

    Files that people attached and agents showed go along: within JSON lines (64 MiB each) and a page of HTML
    (16 MiB each), and in a folder beside a file of Markdown. With --json what was written is told, one object
    per file.
    """
    if bool(threads) == everything:
        raise UsageError("Which threads?", fix="Name them, or say --all.")
    output = None if output == Path("-") else output
    chosen = form or _SUFFIXES.get("" if output is None else output.suffix.lower(), Format.LINES)
    options = Options(room, agent_name, json, local, data_dir, thread_dir=thread_dir).over(context.obj)
    if output is None and json:
        raise UsageError("--json tells what was written: it needs --output.")
    run(_exported(_Wish(options, threads or [], chosen, output, force, not no_files)))


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
                media = _media(room, place, wish)
                async for piece in _pieces(room, place, wish, media):
                    typer.echo(piece, nl=False)
                _tell(media)
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
    rows, left_out = 0, list[str]()
    with _new_file(path, force=wish.force) as file:
        for place in found:
            media = _media(room, place, wish)
            async for piece in _pieces(room, place, wish, media, path):
                file.write(piece)
                rows += piece.startswith('{"row":')
            left_out += media.limits.left_out
            _tell(media)
    if wish.options.json:
        told = {
            "file": str(path),
            "threads": [place.entry.path for place in found],
            "format": wish.form.value,
            "files_left_out": left_out,
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


def _media(room: JoinedRoom, place: Place, wish: _Wish) -> Media:
    from process_agent.threads.kept.carried import Limits
    from process_agent.threads.kept.transfer import Media
    from process_agent.threads.kept.whole import MAX_PICTURE, MAX_PICTURES

    images = store_in(room, place.agent, place.directory).images
    limits = Limits(MAX_PICTURE, MAX_PICTURES) if wish.form is Format.HTML else Limits()
    return Media(images, room.files if wish.files else None, limits)


def _tell(media: Media) -> None:
    for path, why in media.limits.left_out.items():
        typer.echo(f"Left out: {path} ({why})", err=True)


async def _pieces(
    room: JoinedRoom, place: Place, wish: _Wish, media: Media, path: Path | None = None
) -> AsyncGenerator[str]:
    if wish.form is Format.LINES:
        from process_agent.threads.kept.lines import write
        from process_agent.threads.kept.transfer import exported

        owner = await _owner(room, place)
        async for line in exported(room.datasets, place.ref, place.entry, owner, media):
            yield write(line) + "\n"
        return
    paper = await _paper(room, place, wish, media, path)
    if wish.form is Format.HTML:
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


async def _paper(room: JoinedRoom, place: Place, wish: _Wish, media: Media, path: Path | None) -> Paper:
    from process_agent.threads.kept.carried import files_at
    from process_agent.threads.kept.whole import data_urls, events_of, pictures_of
    from process_agent.threads.room_files import files_of
    from process_agent.viewer.paper.parts import Paper
    from process_agent.viewer.transcript import Transcript

    events, cut = await events_of(room.datasets, place.ref, place.entry.path)
    transcript = Transcript(turn_limit=len(events) + 1)
    for event in events:
        transcript.apply(event)
    pictures = await pictures_of(events, media.images)
    links: dict[str, str] = {}
    if media.files is not None:
        paths = dict.fromkeys(file for event in events for file in files_of(event.body))
        async for line in files_at(
            media.files, paths if wish.form is Format.HTML or path else (), media.limits
        ):
            if wish.form is Format.HTML:
                data_urls(line, pictures, links)
            elif path is not None:
                links[line.path] = _beside(path, line, force=wish.force)
    entry = place.entry
    return Paper(
        entry.path, entry.name, entry.created_at, entry.modified_at, transcript, pictures, cut, links
    )


def _beside(path: Path, line: FileLine, *, force: bool) -> str:
    """Write a file of the thread into the folder beside a document; how the document names it."""
    from urllib.parse import quote

    from process_agent.agent.shelf import plain_name

    *_, unique, name = line.path.split("/")
    folder = path.with_name(f"{path.stem}-files")
    target = folder / f"{unique}-{plain_name(name)}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        target.unlink(missing_ok=True) if force else None
        with open(target, "xb", opener=_private) as file:
            file.write(line.data)
    except FileExistsError as error:
        raise UsageError(f"{target} is there already.", fix="Choose another name, or --force.") from error
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}.") from error
    return quote(f"{folder.name}/{target.name}")
