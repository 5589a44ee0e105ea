"""The documented commands of language models, with the real program, the real Codex and the local room."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from process_agent.scripted.server import RecordedRequest, ScriptedServer
from tests.contract.codex_room import script
from tests.fakes.program import Loaded, Program

MIXED = (
    "join --room gettingstarted --agent-name codex-agent --channel chat --model gpt-5.5 --model codex/gpt-5.5"
)


@pytest.mark.timeout(180)
async def test_a_thread_moves_between_a_language_model_and_codex_and_back(
    program: Program, model: ScriptedServer
) -> None:
    thread = await asyncio.to_thread(_talk_with_both, program)
    requests = [request for request in model.requests if "input" in (request.body or {})]
    of_llm = [request for request in requests if not _is_codex(request)]
    items = of_llm[-1].body["input"]
    said = json.dumps([item for item in items if item["type"] == "message"])
    for once in ("say apples-first", '"apples-first"', 'It is done."}', "what happened"):
        assert said.count(once) == 1, (once, said)
    done = json.dumps([item for item in items if item["type"] != "message"])
    for once in ("-apples-before", "+pears", "printf", "Exit-code-is-0-now"):
        assert done.count(once) == 1, (once, done)
    first_of_codex = json.dumps(next(request for request in requests if _is_codex(request)).body["input"])
    assert first_of_codex.count("say apples-first") == 1
    assert thread


def _is_codex(request: RecordedRequest) -> bool:
    return "session-id" in request.headers or "session_id" in request.headers


def _talk_with_both(program: Program) -> str:
    (program.work / "fruit.txt").write_text("apples-before\n")
    patch = "*** Begin Patch\n*** Update File: fruit.txt\n@@\n-apples-before\n+pears\n*** End Patch"
    work = script(
        {"patch": patch},
        {"run": "printf 'Exit-code-is-%d-now' 0"},
        {"say": "It is done."},
    )
    with program.running(MIXED) as (_, said):
        assert "gpt-5.5" in said
        assert _ask(program, "say apples-first") == "apples-first"
        thread = json.loads(program.run("threads --room gettingstarted --json").stdout.splitlines()[0])[
            "path"
        ]
        assert "It is done." in _ask(program, work, "--thread", thread, "--model", "codex/gpt-5.5")
        assert (program.work / "fruit.txt").read_text() == "pears\n"
    with program.running(MIXED):  # the thread keeps its model, whoever comes back
        _ask(program, "/model gpt-5.5", "--thread", thread)
        told = _ask(program, "what happened", "--thread", thread)
        assert told
    return str(thread)


def _ask(program: Program, text: str, *more: str) -> str:
    told = program.run("chat --room gettingstarted --message", text, *more)
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


async def test_without_a_key_the_program_says_which_to_set(tmp_path: Path) -> None:
    program = Loaded(tmp_path / "home", PROCESS_DATA_DIR=str(tmp_path / "data"))
    for command, key in (("--model gpt-5.5", "OPENAI_API_KEY"), ("--model kimi/k2", "MOONSHOT_API_KEY")):
        told = await asyncio.to_thread(
            program.run, f"join --room r --agent-name a --channel chat --local {command}"
        )
        assert told.returncode == 3, told.stderr
        assert key in told.stderr
        assert "--provider scripted" in told.stderr


async def test_a_provider_of_the_users_own(tmp_path: Path, model: ScriptedServer) -> None:
    own = tmp_path / "providers.toml"
    own.write_text(
        f'[providers.mine]\ndialect = "chat"\nbase_url = "{model.base_url}"\nkey_variable = "MY_KEY"\n'
    )
    program = Loaded(
        tmp_path / "home",
        PROCESS_PROVIDERS=str(own),
        MY_KEY=model.api_key,
        PROCESS_DATA_DIR=str(tmp_path / "data"),
    )
    told = await asyncio.to_thread(program.run, "run --model llm/mine/big/one --message", "say 7 7 7")
    assert (told.returncode, told.stdout.strip()) == (0, "7 7 7"), told.stderr
    assert model.requests[-1].path == "/v1/chat/completions"
    assert model.requests[-1].body["model"] == "big/one"
    own.write_text("[providers.mine]\ncolour = 3\n")
    told = await asyncio.to_thread(program.run, "run --model mine/x --message", "say 7")
    assert told.returncode == 2
    assert "providers.mine.colour" in told.stderr
