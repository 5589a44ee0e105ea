"""The sub-commands of `process threads`, one file by subject."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Give `process threads` its sub-commands."""
    from process_agent.cli.thread_tools import (
        delete,
        export,
        importing,
        prune,
        repair,
        scrub,
        search,
        show,
        stats,
    )

    app.command("show", short_help="Print a thread, and how to go on with it in Codex itself.")(show.show)
    app.command("search", short_help="Find a text in all threads, or in one.")(search.search)
    app.command("export", short_help="Write threads as Markdown, HTML or JSON lines.")(export.export)
    app.command("import", short_help="Bring in threads that were exported as JSON lines.")(
        importing.import_threads
    )
    app.command("delete", short_help="Delete threads, after asking.")(delete.delete)
    app.command("prune", short_help="Delete threads that nobody used for long, after asking.")(prune.prune)
    app.command("scrub", short_help="Cover secrets in stored threads.")(scrub.scrub)
    app.command("repair", short_help="Remove rows that are in a thread twice.")(repair.repair)
    app.command("stats", short_help="How many threads, turns, rows and bytes there are.")(stats.stats)
