"""`process threads search`: where something was said. Reads only."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.threads import AgentName, Json, Options, Room, ThreadDir, joined, run

if TYPE_CHECKING:
    from process_agent.cli.thread_tools.places import Place
    from process_agent.threads.kept.looking import Match

MATCHES = 100
"""Matches after which a search stops when nobody says how many."""

ROWS = 1_000_000
"""Rows after which a search stops when nobody says how many."""


@dataclass(slots=True)
class _Search:
    options: Options
    pattern: str
    regex: bool
    case: bool
    threads: list[str]
    limit: int
    rows: int


def search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for, in any case.")],
    regex: Annotated[bool, typer.Option("--regex", "-E", help="TEXT is a regular expression.")] = False,
    case: Annotated[bool, typer.Option("--case-sensitive", help="Upper and lower case differ.")] = False,
    thread: Annotated[
        list[str] | None, typer.Option("--thread", metavar="THREAD", help="Only in this thread. Repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Matches to print.")] = MATCHES,
    max_rows: Annotated[
        int, typer.Option("--max-rows", metavar="N", min=1, help="Rows to read at most.")
    ] = ROWS,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Find a text in what was said, thought and done in threads, the latest changed first.

    Says on the last line how far it looked when it stopped at a limit; with --json that is always told.
    """
    options = Options(room, agent_name, json, local, data_dir, thread_dir=thread_dir).over(context.obj)
    run(_found(_Search(options, text, regex, case, thread or [], limit, max_rows)))


async def _found(wish: _Search) -> AsyncGenerator[str]:
    from process_agent.cli.thread_tools.places import places
    from process_agent.threads.kept.looking import Counted, matches_in, pattern_of

    pattern = pattern_of(wish.pattern, regex=wish.regex, case=wish.case)
    counted, found, looked, stopped = Counted(wish.rows), 0, 0, None
    async with joined(wish.options) as (room, paths):
        listed = await places(room, wish.options, paths, wish.threads)
        for place in listed:
            if counted.enough:
                stopped = "rows"
                break
            looked += 1
            before = found
            async for match in matches_in(room.datasets, place.ref, place.entry.path, pattern, counted):
                if found >= wish.limit:
                    stopped = "matches"
                    break
                found += 1
                for line in _lines(match, place, first=found == before + 1, json=wish.options.json):
                    yield line
            if stopped:
                break
    stopped = stopped or ("rows" if counted.enough else None)
    end = {
        "matches": found,
        "threads": looked,
        "of": len(listed),
        "rows": counted.rows,
        "stopped_at": stopped,
    }
    if wish.options.json:
        yield json_module.dumps({"type": "end", **end})
    elif stopped:
        yield (
            f"Stopped at the limit of {wish.limit if stopped == 'matches' else wish.rows} {stopped}, after "
            + (
                f"{looked} of {len(listed)} threads: "
                + ("--limit" if stopped == "matches" else "--max-rows")
                + " raises it."
            )
        )
    elif not found:
        yield f"Nothing found in {looked} threads ({counted.rows} rows)."


def _lines(match: Match, place: Place, *, first: bool, json: bool) -> list[str]:
    from process_agent.viewer.terminal.plain import one_line
    from process_agent.wire.agent_messages.parts import encode_time

    said = match.said
    if json:
        record: dict[str, Any] = {
            "type": "match",
            "thread": place.entry.path,
            "thread_name": place.entry.name,
            "turn_id": said.turn_id,
            "item_id": said.item_id,
            "who": said.who,
            "at": encode_time(said.at),
            "count": match.count,
            "text": match.excerpt,
        }
        return [json_module.dumps(record, ensure_ascii=False)]
    head = [f"{place.entry.path}  {one_line(place.entry.name, 60)}"] if first else []
    more = f"  ({match.count} times)" if match.count > 1 else ""
    when = said.at.astimezone().strftime("%Y-%m-%d %H:%M")
    return [*head, f"  {when}  {one_line(said.who, 20)}: {one_line(match.excerpt, 200)}{more}"]
