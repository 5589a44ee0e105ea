"""What happens when the app-server dies, hangs, babbles or is overloaded, and what it may leave behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from codex_cli_bin import bundled_codex_path

from backends.codex import app_server, client
from backends.codex import thread as codex_thread
from backends.codex.thread import CodexThread
from process_agent.core.events import BackendEvent, EndReason, ToolStarted, TurnEnded, Working
from process_agent.io import rpc
from tests.contract.codex_room import codex_room, gone, script

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the guard needs Linux")

BETWEEN = """#!{python} -IS
import json, subprocess, sys, threading
MODE, REAL = {mode!r}, {real!r}
if sys.argv[1] != "app-server":
    sys.exit(subprocess.run([REAL, *sys.argv[1:]]).returncode)
child = subprocess.Popen([REAL, *sys.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
out, lock, refusals = sys.stdout.buffer, threading.Lock(), dict()
def say(data):
    with lock:
        out.write(data)
        out.flush()
def listen():
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        method = asked.get("method")
        if MODE == "overloaded" and method in ("thread/start", "turn/start", "turn/interrupt"):
            refusals[method] = refusals.get(method, 0) + 1
            if refusals[method] <= 2:
                error = dict(code=-32001, message="Server overloaded; retry later.")
                say(json.dumps(dict(id=asked["id"], error=error)).encode() + b"\\n")
                continue
        if MODE == "deaf" and method == "turn/start":
            continue
        if MODE == "stubborn" and method == "turn/interrupt" and not refusals:
            refusals[method] = 1
            continue
        if MODE == "panic" and method == "turn/start":
            print("\\x1b[31mERROR\\x1b[0m Bearer abcdefghijkl http://127.0.0.1:1/v1", file=sys.stderr)
            print("thread 'main' panicked at core/src/x.rs:7: it is full", file=sys.stderr, flush=True)
            child.kill()
            continue
        child.stdin.write(line)
        child.stdin.flush()
    child.stdin.close()
threading.Thread(target=listen, daemon=True).start()
noise = [line + b"\\n" for line in (
    b"no json", b"[]", b"{{", b"\\xff\\xfe", b'{{"id":"nobody","result":{{}}}}', b'{{"method":7}}',
    b'{{"method":"a/b/c","params":{{"threadId":"nobody"}}}}', b'{{"id":"q","method":"x/y","params":{{}}}}',
    b'{{"method":"item/started","params":{{"threadId":null,"item":[]}}}}', b"x" * 80_000_000,
)]
for number, line in enumerate(child.stdout):
    if MODE == "noisy" and number > 2 and noise:
        say(noise.pop(0))
    say(line)
sys.exit(101 if MODE == "panic" else child.wait())
"""


def between(folder: Path, mode: str) -> dict[str, str]:
    """The real Codex with a program between it and us, which misbehaves in some way."""
    program = folder / f"codex-{mode}"
    program.write_text(BETWEEN.format(python=sys.executable, mode=mode, real=str(bundled_codex_path())))
    program.chmod(0o755)
    return {"PROCESS_CODEX_BINARY": str(program)}


# --- It dies ---------------------------------------------------------------------------------------


async def test_its_last_words_end_the_turn_without_secrets(tmp_path: Path) -> None:
    async with codex_room(tmp_path, environment=between(tmp_path, "panic")) as room:
        thread = await room.thread()
        error = (await room.turn(thread, "say one")).end.error
        assert error is not None
        assert "panicked at core/src/x.rs:7: it is full" in error.message
        for secret in ("abcdefghijkl", "127.0.0.1", "\x1b", room.model.api_key):
            assert secret not in error.message


async def test_a_death_in_a_turn_ends_all_turns_with_what_it_said_and_the_next_ones_work(
    tmp_path: Path,
) -> None:
    async with codex_room(tmp_path) as room:
        threads = [await room.thread() for _ in range(3)]
        running = asyncio.Semaphore(0)

        def count(event: BackendEvent) -> None:
            if isinstance(event, ToolStarted):
                running.release()

        turns = [
            asyncio.ensure_future(room.turn(thread, script({"run": "sleep 60"}), count)) for thread in threads
        ]
        for _ in threads:
            await running.acquire()
        os.kill(room.app_server(), signal.SIGKILL)
        for turn in turns:
            end = (await turn).end
            assert end.reason is EndReason.LOST
            assert end.error is not None
            assert end.error.code == "codex_lost"
            assert "killed by signal 9" in end.error.message
        for number, thread in enumerate(threads):
            assert (await room.turn(thread, f"say {number}")).text == str(number)


# --- It hangs --------------------------------------------------------------------------------------


@needs_linux
async def test_an_app_server_that_answers_no_request_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn that asked runs on the next one; one that was running ends with the reason."""
    monkeypatch.setattr(app_server, "SILENCE", 0.5)
    async with codex_room(tmp_path) as room:
        busy, other = await room.thread(), await room.thread()
        started = asyncio.Event()
        lost = asyncio.ensure_future(
            room.turn(
                busy,
                script({"sleep_ms": 60_000}),
                lambda e: started.set() if isinstance(e, Working) else None,
            )
        )
        await room.model.wait_for_requests(1)
        hanging = room.app_server()
        os.kill(hanging, signal.SIGSTOP)
        assert (await room.turn(other, "say here")).text == "here"
        end = (await lost).end
        assert end.reason is EndReason.LOST
        assert end.error is not None
        assert "did not answer thread/start within 0.5 s" in end.error.message
        assert await gone(hanging, 2)
        assert (await room.turn(busy, "say again")).text == "again"


@needs_linux
async def test_a_turn_is_not_left_waiting_by_an_app_server_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks anything while a turn runs; so it is asked."""
    monkeypatch.setattr(app_server, "SILENCE", 0.5)
    monkeypatch.setattr(app_server, "QUIET", 0.3)
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        running = asyncio.ensure_future(room.turn(thread, script({"sleep_ms": 60_000})))
        await room.model.wait_for_requests(1)
        os.kill(room.app_server(), signal.SIGSTOP)
        end = (await running).end
        assert end.reason is EndReason.LOST
        assert end.error is not None
        assert "did not answer" in end.error.message
        assert (await room.turn(thread, "say again")).text == "again"


async def test_a_long_turn_that_says_nothing_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_server, "SILENCE", 5.0)
    monkeypatch.setattr(app_server, "QUIET", 0.05)
    async with codex_room(tmp_path) as room:
        told = await room.turn(await room.thread(), script({"sleep_ms": 1_000}, {"say": "at last"}))
        assert (told.text, told.end) == ("at last", TurnEnded(EndReason.COMPLETED))


# --- It babbles, it is overloaded, its provider is gone ----------------------------------------------


async def test_noise_and_an_endless_line_are_survived(tmp_path: Path) -> None:
    async with codex_room(tmp_path, environment=between(tmp_path, "noisy")) as room:
        thread = await room.thread()
        for number in range(3):
            told = await room.turn(thread, script({"run": f"echo {number}"}, {"report": True}))
            assert told.end == TurnEnded(EndReason.COMPLETED)
            assert told.text.strip() == str(number)


async def test_overload_is_waited_out(tmp_path: Path) -> None:
    async with codex_room(tmp_path, environment=between(tmp_path, "overloaded")) as room:
        thread = await room.thread()
        assert (await room.turn(thread, "say hello")).text == "hello"
        running = asyncio.ensure_future(room.turn(thread, script({"sleep_ms": 60_000})))
        await room.model.wait_for_requests(2)
        await thread.interrupt()
        assert (await running).end == TurnEnded(EndReason.INTERRUPTED)


async def test_a_stop_that_waits_for_one_that_hangs_gets_to_codex(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codex hears of so many stops at once; the time it has for one begins when it hears of that."""
    monkeypatch.setattr(rpc, "MAX_URGENT", 1)
    monkeypatch.setattr(client, "STOP_TIMEOUT", 1)
    monkeypatch.setattr(codex_thread, "INTERRUPT_PATIENCE", 1)
    async with codex_room(tmp_path, environment=between(tmp_path, "stubborn")) as room:
        hanging, behind = await room.thread(), await room.thread()
        turns = [
            asyncio.ensure_future(room.turn(thread, script({"sleep_ms": 60_000})))
            for thread in (hanging, behind)
        ]
        await room.model.wait_for_requests(2)
        assert isinstance(behind, CodexThread)
        known = behind._talk.codex_thread
        await hanging.interrupt()
        await behind.interrupt()
        for turn in turns:
            assert (await turn).end == TurnEnded(EndReason.INTERRUPTED)
        assert behind._talk.codex_thread == known, "given up, though it never heard of the stop"
        assert (await room.turn(hanging, "say one")).text == "one"
        assert (await room.turn(behind, "say two")).text == "two"


async def test_a_provider_that_refuses_connections_ends_the_turn(tmp_path: Path) -> None:
    nowhere = {"provider": "scripted", "base_url": "http://127.0.0.1:9/v1", "api_key": "key"}
    async with codex_room(tmp_path, connect=False, **nowhere) as room:
        async with asyncio.timeout(60):
            end = (await room.turn(await room.thread(), "say hello")).end
        assert end.reason is EndReason.FAILED
        assert end.error is not None
        assert "127.0.0.1" not in end.error.message
