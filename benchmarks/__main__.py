"""`python -m benchmarks [NAMES] [--reference PATH] [--install-reference] [--json OUT] [--write]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

from benchmarks import reference as references
from benchmarks.figures import Section, as_json, markdown
from benchmarks.machine import Moment, about, moment
from benchmarks.page import page

NAMES = (
    "help",
    "completion",
    "join",
    "turn",
    "stream",
    "viewers",
    "threads",
    "load",
    "opening",
    "inserts",
    "stop",
    "stop-codex",
    "memory",
    "memory-codex",
    "llm",
    "llm-stream",
    "llm-threads",
    "llm-burst",
    "llm-long",
    "llm-tools",
    "store",
    "store-length",
    "store-threads",
)
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if not sys.platform.startswith("linux"):
        print("The benchmarks read /proc and run on Linux only.", file=sys.stderr)
        return 2
    if options.install_reference:
        try:
            references.install()
        except subprocess.CalledProcessError as error:
            print(f"The reference could not be installed: {error}.", file=sys.stderr)
    try:
        reference = references.find(options.reference)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    if reference is None:
        print("No reference CLI: only our own figures. --install-reference gets it.", file=sys.stderr)
    moments = [moment()]
    with tempfile.TemporaryDirectory(prefix="process-bench-", ignore_cleanup_errors=True) as folder:
        names = options.names or list(NAMES)
        sections = asyncio.run(_measure(names, Path(folder), reference, options.quick, moments))
    machine = about(moments)
    if options.json is not None:
        content = {"machine": machine, "sections": as_json(sections)}
        options.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if options.write:
        before = PAGE.read_text() if PAGE.exists() else ""
        measured = {section.title: markdown([section]) for section in sections}
        PAGE.write_text(page(before, measured, references.PACKAGE, f"{date.today():%Y-%m-%d}; {machine}"))
    print(machine)
    return 0


async def _measure(
    names: list[str], folder: Path, reference: references.Reference | None, quick: bool, moments: list[Moment]
) -> list[Section]:
    """The sections asked for, each printed as soon as it is measured; adds the moments after them."""
    from benchmarks import (
        codex_stops,
        codex_turn,
        full_load,
        held_threads,
        help_time,
        inserts,
        interrupts,
        join_ready,
        key_time,
        llm_burst,
        llm_long,
        llm_tools,
        llm_turn,
        long_threads,
        many_threads,
        memory,
        opening,
        store_cost,
        viewers,
    )
    from benchmarks.stage import Stage, set_stage

    sections: list[Section] = []

    began = time.monotonic()

    def done(section: Section) -> None:
        print(markdown([section]) + "\n", flush=True)
        print(f"{section.name}: done {time.monotonic() - began:.0f} s after the start", file=sys.stderr)
        sections.append(section)
        moments.append(moment())

    if "help" in names:
        done(help_time.measure(folder, reference, 2 if quick else help_time.RUNS))
    if "completion" in names:
        done(key_time.measure(folder, reference, 2 if quick else key_time.RUNS))
    if "inserts" in names:
        done(await inserts.measure(folder, 1 if quick else inserts.ROUNDS))
    measures: dict[str, Callable[[Stage], Awaitable[Section]]] = {
        "join": lambda stage: join_ready.measure(stage, 2 if quick else join_ready.RUNS),
        "turn": lambda stage: codex_turn.measure(stage, 1 if quick else codex_turn.ROUNDS),
        "stream": lambda stage: codex_turn.measure_streaming(stage, 1 if quick else codex_turn.STREAM_ROUNDS),
        "viewers": lambda stage: viewers.measure(stage, 1 if quick else viewers.ROUNDS),
        "threads": lambda stage: many_threads.measure(stage, 1 if quick else many_threads.ROUNDS),
        "load": lambda stage: full_load.measure(stage, 320 if quick else full_load.TURNS),
        "llm": lambda stage: llm_turn.measure(stage, 1 if quick else codex_turn.ROUNDS),
        "llm-stream": lambda stage: llm_turn.measure_streaming(
            stage, 1 if quick else codex_turn.STREAM_ROUNDS
        ),
        "llm-threads": lambda stage: llm_turn.measure_threads(stage, 1 if quick else many_threads.ROUNDS),
        "llm-burst": lambda stage: llm_burst.measure(stage, 1 if quick else llm_burst.ROUNDS),
        "llm-long": lambda stage: llm_long.measure(stage, *(((10, 100), 3) if quick else ())),
        "llm-tools": lambda stage: llm_tools.measure(stage, *((5, 1) if quick else ())),
        "store": lambda stage: store_cost.measure(stage, *((3, 1) if quick else ())),
        "store-length": lambda stage: long_threads.measure(stage, 1 if quick else long_threads.COPIES),
        "store-threads": lambda stage: held_threads.measure(
            stage, (20, 200) if quick else held_threads.COUNTS
        ),
        "opening": lambda stage: opening.measure(stage, 1 if quick else opening.COPIES),
        "stop": lambda stage: interrupts.measure(stage, 5 if quick else interrupts.STOPS),
        "stop-codex": lambda stage: codex_stops.measure(stage, quick),
        "memory": lambda stage: memory.measure(stage, memory.LLM, *(((100, 200), 100) if quick else ())),
        "memory-codex": lambda stage: memory.measure(
            stage, memory.CODEX, *(((100, 200), 100) if quick else (memory.CODEX_STEPS,))
        ),
    }
    wanted = [measure for name, measure in measures.items() if name in names]
    if wanted:
        with set_stage(folder, reference) as stage:
            for measure in wanted:
                done(await measure(stage))
    return sections


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--reference", type=Path, help="virtual environment of the published CLI")
    parser.add_argument("--install-reference", action="store_true", help="install it into .venv-reference")
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(PAGE.parent.parent)}")
    parser.add_argument("--quick", action="store_true", help="few runs, to see that it works")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
