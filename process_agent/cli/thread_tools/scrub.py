"""`process threads scrub`: cover secrets in what was stored before."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.threads import AgentName, Json, Options, Room, ThreadDir, joined, run

if TYPE_CHECKING:
    from process_agent.cli.thread_tools.places import Place
    from process_agent.core.redaction import Redaction
    from process_agent.rooms.join import JoinedRoom
    from process_agent.threads.kept.scrubbing import Scrubbed


def scrub(
    context: typer.Context,
    threads: Annotated[
        list[str], typer.Argument(metavar="THREAD...", help="Path, start of the id, name or number.")
    ],
    pattern: Annotated[
        list[str] | None,
        typer.Option(
            "--pattern", metavar="REGEX", help="Cover what this fits too, within a line. Repeatable."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be covered.")] = False,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Cover secrets in stored threads: credentials in this environment, keys of known form, and --pattern.

    All rows are looked at, also within JSON, and texts that lie in several rows. Older versions of the table
    go too. The agent must not be in the room.
    """
    from process_agent.cli.thread_flags import pattern as parsed
    from process_agent.config import secret_values
    from process_agent.core.redaction import Redaction

    patterns = [parsed("--pattern", text) for text in pattern or ()]
    options = Options(room, agent_name, json, local, data_dir, thread_dir=thread_dir).over(context.obj)
    rules = Redaction(secret_values(), keys=True, patterns=patterns)
    run(_scrubbed(options, threads, rules, dry_run=dry_run))


async def _scrubbed(
    options: Options, threads: list[str], rules: Redaction, *, dry_run: bool
) -> AsyncGenerator[str]:
    from process_agent.cli.thread_tools.places import to_rewrite

    async with joined(options) as (room, paths):
        for place in await to_rewrite(room, options, paths, threads, dry_run=dry_run):
            yield _line(place, await _scrub(room, place, rules, dry_run=dry_run), options.json, dry_run)


async def _scrub(room: JoinedRoom, place: Place, rules: Redaction, *, dry_run: bool) -> Scrubbed:
    from process_agent.threads.kept.replacing import put, read_rows
    from process_agent.threads.kept.scrubbing import scrubbed

    rows = await read_rows(room.datasets, place.ref, put_right=not dry_run)
    rules.places = 0
    found = scrubbed(rows, rules)
    name = rules.name(place.entry.name)
    if dry_run:
        return found
    if found.anything:
        await put(room.datasets, place.ref, found.rows, before=len(rows))
    if name != place.entry.name:
        await _rename(room, place, name)
    return found


async def _rename(room: JoinedRoom, place: Place, name: str) -> None:
    """Its name in the list, whose older versions go."""
    from process_agent.core.room import TableRef
    from process_agent.threads.paths import namespace_of
    from process_agent.threads.schema import INDEX_TABLE
    from process_agent.threads.table import quoted

    index = TableRef(INDEX_TABLE, namespace_of(place.directory))
    await room.datasets.update(index, f"path = {quoted(place.entry.path)}", {"name": name})
    await room.datasets.optimize(index, forget_all=True)


def _line(place: Place, found: Scrubbed, json: bool, dry_run: bool) -> str:
    if json:
        told = {
            "thread": place.entry.path,
            "secrets": found.places,
            "rows_changed": found.changed,
            "rows_dropped": found.dropped,
            "dry_run": dry_run,
        }
        return json_module.dumps(told)
    would = "would be " if dry_run else ""
    return (
        f"{place.entry.path}: {found.places} secrets {would}covered, {found.changed} rows changed, "
        f"{found.dropped} dropped that say nothing any more"
    )
