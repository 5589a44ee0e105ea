"""Commands, options and links that README.md and docs/ name are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from process_agent.cli.tree import command

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WRITTEN = [page for page in PAGES if page.name != "benchmarks.md"]
"""Not by a program, which names processes as the kernel does: cut off."""

FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
QUOTED = r"\"[^\"]*\"|'[^']*'"
TYPED = re.compile(
    rf"(?:^|(?<=[(;&|=] )|(?<=\$\()|(?<=exec ))process ((?:[^\n\"')#;&<>]|{QUOTED})*)", re.MULTILINE
)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w-])")
LINK = re.compile(r"\]\((?!https?:|#code)([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

OF_OTHERS = {
    "--binary": "python -m backends.codex.drift",
    "--build-arg": "docker build",
    "--file": "meshagent service create",
    "--now": "systemctl",
    "--replace": "meshagent service update",
    "--replicas": "kubectl scale",
    "--schema": "python -m backends.codex.drift",
    "--service-title": "meshagent process spec; the page says that it is not here",
}
"""Options that the pages name and `process` does not have, and whose they are."""


@cache
def tree() -> Any:
    return command()


def commands(page: str) -> Iterator[str]:
    """What follows `process` in blocks and spans."""
    for block in FENCE.findall(page):
        yield from TYPED.findall(block.replace("\\\n", " "))
    for span in SPAN.findall(FENCE.sub("", page)):
        yield from TYPED.findall(span)


def options_of(at: Any) -> set[str]:
    taken = {"--help", *(name for each in at.params for name in (*each.opts, *each.secondary_opts))}
    if at.context_settings.get("ignore_unknown_options"):  # `config show` takes what `join` does
        taken |= options_of(tree().commands["join"])
    return taken


def unknown(typed: str) -> list[str]:
    """What a command line names that is not there."""
    at: Any = tree()
    bare = re.sub(QUOTED, "TEXT", typed)
    words = bare.split()
    while words and hasattr(at, "commands") and words[0] in at.commands:
        at = at.commands[words.pop(0)]
    wrong = [name for name in OPTION.findall(bare) if name not in options_of(at)]
    if hasattr(at, "commands") and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        wrong.insert(0, words[0])
    return wrong


@cache
def all_options() -> frozenset[str]:
    found, queue = set(OF_OTHERS), [tree()]
    while queue:
        at: Any = queue.pop()
        found |= options_of(at)
        queue += getattr(at, "commands", {}).values()
    return frozenset(found)


def anchors(page: Path) -> set[str]:
    """The names GitHub gives the headings of a page."""
    headings = HEADING.findall(FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_commands_are_there_and_take_the_options(page: Path) -> None:
    typed = set(commands(page.read_text("utf-8")))
    assert {line: wrong for line in typed if (wrong := unknown(line))} == {}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_options_are_those_of_some_command(page: Path) -> None:
    spans = SPAN.findall(FENCE.sub("", page.read_text("utf-8")))
    named = {name for span in spans for name in OPTION.findall(span)}
    assert named - all_options() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(page.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ("chat --room R --message", []),
        ("chat --roam R", ["--roam"]),
        ("threads serch", ["serch"]),
        ('chat --message "say --nothing"', []),
        ("room statuss --json", ["statuss", "--json"]),
    ],
)
def test_what_is_not_there_is_found(typed: str, wrong: list[str]) -> None:
    assert unknown(typed) == wrong
