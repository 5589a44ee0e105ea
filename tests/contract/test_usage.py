"""`process usage` beside what the model's server itself wrote down, with the real program, Codex and room."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pytest

from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import script
from tests.fakes.llm_room import charged_by
from tests.fakes.program import Program

JOIN = "join --room r --agent-name bot --channel chat --model gpt-5.5 --model codex/gpt-5.5"


@pytest.mark.timeout(400)
async def test_each_answer_is_in_the_table_once_over_faults_kills_and_restarts(
    program: Program, model: ScriptedServer
) -> None:
    lines = await asyncio.to_thread(_talk, program)
    total = lines[-1]
    charged = charged_by(model)
    assert total["by"] == "total"
    assert (total["calls"], total["unreported_calls"]) == (len(charged), 0)
    assert total["input_tokens"] == sum(given for given, _ in charged)
    assert total["output_tokens"] == sum(made for _, made in charged)
    models = {line["key"]: line["calls"] for line in lines[:-1]}
    assert models.keys() == {"llm/openai/gpt-5.5", "codex/openai/gpt-5.5"}
    assert min(models.values()) >= 2


def _talk(program: Program) -> list[dict[str, Any]]:
    with program.running(JOIN) as (agent, _):
        _ask(program, script({"fault": 500, "times": 1}, {"say": "after a failure"}))
        _ask(program, script({"run": "true"}, {"say": "after a command"}), "--model", "codex/gpt-5.5")
        os.kill(agent.pid, signal.SIGKILL)  # what was used last is not in the room yet
        agent.wait()
        assert _usage(program)[-1]["calls"] >= 3
    with program.running(JOIN):
        _ask(program, "say once more", "--thread", "1", "--model", "codex/gpt-5.5")
        _ask(program, "say the last", "--thread", "1", "--model", "llm/openai/gpt-5.5")
        told = program.run("chat --room r --thread 1 --message", "/usage")
        assert "This thread: cost unknown, " in told.stdout, told.stderr
        assert "- `codex/openai/gpt-5.5`: " in told.stdout
        assert "in all threads of this agent" in told.stdout
    one = _usage(program, "--by", "turn", "--thread", "1", "--agent", "bot", "--since", "1d")
    assert len({line["thread"] for line in one[:-1]}) == 1
    assert len(one) >= 4
    lines = _usage(program)
    for flags, rows in (("--older-than 1d", 0), ("--older-than 0m --dry-run", lines[-1]["calls"])):
        assert _prune(program, flags) == [{"agent": "bot", "rows": rows, "dry_run": "dry" in flags}]
    assert _usage(program) == lines
    _prune(program, "--older-than 0m")
    assert _usage(program) == []
    return lines


def _prune(program: Program, flags: str) -> list[dict[str, Any]]:
    done = program.run(f"usage --room r prune {flags} --json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [{name: value for name, value in line.items() if name != "before"} for line in found]


def _usage(program: Program, *more: str) -> list[dict[str, Any]]:
    told = program.run("usage --room r --json", *more)
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


def _ask(program: Program, text: str, *more: str) -> None:
    told = program.run("chat --room r --message", text, *more)
    assert told.returncode == 0, told.stderr
