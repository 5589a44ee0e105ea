"""How long a person waits for help."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.figures import BARE, OURS, REFERENCE, Figure, Section
from benchmarks.programs import environment, run, script
from benchmarks.reference import Reference

RUNS = 6


def measure(folder: Path, reference: Reference | None, runs: int = RUNS) -> Section:
    """Whole processes in turn, after one uncounted run each."""
    env = environment(folder)
    commands = {
        BARE: [sys.executable, "-c", "pass"],
        OURS: [script("process"), "--help"],
        f"{OURS} join": [script("process"), "join", "--help"],
    }
    if reference is not None:
        commands[REFERENCE] = [str(reference.program), "process", "--help"]
    wall, cpu, peak = Figure("wall time", "ms"), Figure("processor time", "ms"), Figure("peak memory", "MB")
    for number in range(runs + 1):
        for program, command in commands.items():
            cost = run(command, env)
            if number:
                wall.add(program, cost.wall_ms)
                cpu.add(program, cost.cpu_ms)
                peak.add(program, cost.peak_mb)
    labels = {
        BARE: "`python -c pass`",
        OURS: "`process --help`",
        f"{OURS} join": "`process join --help`",
        REFERENCE: "`meshagent process --help`",
    }
    return Section(
        "help", "Help", labels, [wall, cpu, peak], f"{runs} runs of each, in turn, bytecode cached."
    )
