"""Help that lists many options by subject, at 80 columns."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from process_agent.cli.app import app
from process_agent.cli.help_groups import OTHER, SECTIONS, grouped


@pytest.mark.parametrize("command", ["join", "run", "spec", "service serve"])
def test_every_option_has_its_section(command: str) -> None:
    shown = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "80"}).output
    *sections, other = shown.split(f"\n{OTHER}:\n")
    assert len(sections) == 1
    assert " ".join(other.split()) == "--help Show this message and exit.", "name its section in SECTIONS"
    assert max(map(len, shown.splitlines())) <= 80
    assert "\nApprovals:\n" in shown


def test_sections_name_no_option_twice_and_what_is_in_none_comes_last() -> None:
    named = [name for names in SECTIONS.values() for name in names]
    assert len(named) == len(set(named))
    assert grouped(["brand_new", "room", "sandbox"]) == {
        "Room and agent": ["room"],
        "Workspace and sandbox": ["sandbox"],
        OTHER: ["brand_new"],
    }
