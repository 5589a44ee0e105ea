"""How long a shell waits for what can come next, at each press of the key."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.figures import BARE, OURS, REFERENCE, Figure, Section
from benchmarks.programs import environment, run, script
from benchmarks.reference import Reference

RUNS = 6


def measure(folder: Path, reference: Reference | None, runs: int = RUNS) -> Section:
    """Whole processes in turn, after one uncounted run each; a room to be found is there."""
    (folder / "data" / "rooms" / "gettingstarted").mkdir(parents=True, exist_ok=True)
    env = environment(folder, {"PROCESS_DATA_DIR": str(folder / "data")})
    commands = {
        BARE: [sys.executable, "-c", "pass"],
        OURS: [script("process"), "__complete", "bash", "=:", "process join --sand"],
        f"{OURS} room": [script("process"), "__complete", "bash", "=:", "process join --room g"],
    }
    asked = {
        "_MESHAGENT_COMPLETE": "complete_bash",
        "COMP_WORDS": "meshagent process join --mod",
        "COMP_CWORD": "3",
    }
    if reference is not None:
        commands[REFERENCE] = [str(reference.program)]
    wall, cpu, peak = Figure("wall time", "ms"), Figure("processor time", "ms"), Figure("peak memory", "MB")
    for number in range(runs + 1):
        for program, command in commands.items():
            cost = run(command, env | (asked if program == REFERENCE else {}))
            if number:
                wall.add(program, cost.wall_ms)
                cpu.add(program, cost.cpu_ms)
                peak.add(program, cost.peak_mb)
    labels = {
        BARE: "`python -c pass`",
        OURS: "`process join --sand`",
        f"{OURS} room": "`process join --room g`",
        REFERENCE: "`meshagent process join --mod`",
    }
    about = f"{runs} runs of each, in turn, bytecode cached, as a shell asks."
    return Section("completion", "Completion", labels, [wall, cpu, peak], about)
