from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks import reference
from benchmarks.figures import BARE, OURS, REFERENCE, Figure, Section, as_json, markdown
from benchmarks.programs import run

LABELS = {BARE: "a bare one", OURS: "ours", REFERENCE: "theirs"}


def section() -> Section:
    time = Figure("time", "ms")
    time.add(BARE, 10, 30, 20)
    time.add(OURS, 40)
    time.add(REFERENCE, 200, 160)
    memory = Figure("memory", "MB")
    memory.add(OURS, 1.234)
    return Section("x", "A title", LABELS, [time, memory], "How.")


def test_rows_have_minimum_median_maximum_and_ratios_of_medians() -> None:
    assert markdown([section()]).splitlines() == [
        "## A title",
        "",
        "How.",
        "",
        "| | program | min | median | max | × bare | × reference |",
        "|---|---|--:|--:|--:|--:|--:|",
        "| time, ms | a bare one | 10.0 | 20.0 | 30.0 |  | 0.11 |",
        "|  | ours | 40.0 | 40.0 | 40.0 | 2.00 | 0.22 |",
        "|  | theirs | 160 | 180 | 200 | 9.00 |  |",
        "| memory, MB | ours | 1.23 | 1.23 | 1.23 |  |  |",
    ]


def test_json_holds_every_sample() -> None:
    (found,) = as_json([section()])
    assert found["programs"] == LABELS
    figures = found["figures"]
    assert isinstance(figures, list)
    assert figures[0]["samples"][BARE] == [10, 30, 20]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads what Linux accounts")
def test_the_cost_of_a_program_is_its_own() -> None:
    busy = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    cost = run([sys.executable, "-c", busy], {"PATH": os.defpath})
    assert cost.cpu_ms > 200
    assert cost.wall_ms > 200
    assert cost.peak_mb > 1


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"], {"PATH": os.defpath})


def test_the_reference_is_found_where_it_is(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "meshagent"
    with pytest.raises(FileNotFoundError):
        reference.find(tmp_path)
    program.parent.mkdir()
    program.write_text("")
    assert reference.find(tmp_path) == reference.find(program) == reference.Reference(program)
