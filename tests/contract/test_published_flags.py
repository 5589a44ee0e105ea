"""The published command line still has the flags that our list of them says."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess

from tests.contract.published.install import for_published, python_programs
from tests.unit.cli.test_reference_flags import OTHERS, PUBLISHED

pytestmark = for_published


def listed(command: str) -> set[str]:
    program = python_programs() / "meshagent"
    told = subprocess.run(
        [program, "process", command, "--help"],
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    return set(re.findall(r"--[a-z][a-z0-9-]+", told.stdout))


async def test_the_list_of_flags_is_that_of_the_published_program() -> None:
    join, run, *others = await asyncio.gather(
        *(asyncio.to_thread(listed, command) for command in ("join", "run", *OTHERS))
    )
    assert join | run == PUBLISHED
    assert dict(zip(OTHERS, others, strict=True)) == OTHERS
