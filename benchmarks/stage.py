"""What all measurements with a room share: a local room, a scripted model, tokens, and agents to start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import BARE, OURS, REFERENCE
from benchmarks.programs import environment, running, script
from benchmarks.reference import Reference

ROOM = "benchmark"
MODEL = "codex/gpt-5.5"
LLM_MODEL = "llm/anthropic/claude-sonnet-4-6"


@dataclass(frozen=True, slots=True)
class Agent:
    """A program that joins the room as `name`."""

    name: str
    command: list[str]
    env: Mapping[str, str]
    folder: Path


class Stage:
    """A room server and a scripted model that run while the stage is set. Made by `set_stage`."""

    def __init__(
        self, folder: Path, room: Mapping[str, Any], model: dict[str, str], reference: Reference | None
    ) -> None:
        self.folder = folder
        self.url: str = room["url"]
        self.room_pid: int = room["pid"]
        self.model = model
        self.reference = reference

    @property
    def room_url(self) -> str:
        """The websocket address of the room."""
        return f"{self.url.replace('http', 'ws', 1)}/rooms/{ROOM}"

    def token(self, identity: str, role: str = "user") -> str:
        """A token for the room."""
        command = [script("process"), "token", "--room", ROOM, "--identity", identity, "--role", role]
        data = ["--data-dir", str(self.folder / "data")]
        return subprocess.run(
            command + data, env=environment(self.folder), check=True, capture_output=True, text=True
        ).stdout.strip()

    def agents(self, model: str = MODEL) -> dict[str, Agent]:
        """The agents to compare, with this model."""
        found = {OURS: self.ours(model)}
        if self.reference is not None:
            found[REFERENCE] = self.theirs(self.reference, model)
        return found

    def bare(self) -> Agent:
        """A bare RoomClient."""
        token = self.token("bare", "agent")
        command = [sys.executable, "-m", "benchmarks.bare_join", self.room_url, token]
        return Agent("bare", command, environment(self._home(BARE)), Path(__file__).parent.parent)

    def echo(self) -> Agent:
        """A bare RoomClient that answers turns at once."""
        token = self.token("echo", "agent")
        command = [sys.executable, "-m", "benchmarks.bare_echo", self.room_url, token]
        return Agent("echo", command, environment(self._home("echo")), Path(__file__).parent.parent)

    def ours(self, model: str = MODEL) -> Agent:
        """Our `process join`, with the scripted model behind the ordinary provider."""
        home = self._home(OURS)
        variables = {
            "MESHAGENT_API_URL": self.url,
            "MESHAGENT_TOKEN": self.token("ours", "agent"),
            "OPENAI_BASE_URL": self.model["base_url"],
            "OPENAI_API_KEY": self.model["api_key"],
            "ANTHROPIC_BASE_URL": self.model["base_url"].removesuffix("/v1"),
            "ANTHROPIC_API_KEY": self.model["api_key"],
            "PROCESS_DATA_DIR": str(self.folder / "data"),
        }
        names = ["--room", ROOM, "--agent-name", "ours", "--channel", "chat", "--model", model]
        return Agent("ours", [script("process"), "join", *names], environment(home, variables), home / "work")

    def theirs(self, reference: Reference, model: str = MODEL) -> Agent:
        """The reference's `process join` against the same room and model."""
        home = self._home(REFERENCE)
        token = self.token("theirs", "agent")
        env = environment(home, reference.variables(self.url, token, home, self.model))
        env["PATH"] = f"{codex_binary().parent}:{env['PATH']}"
        return Agent("theirs", reference.join_command(ROOM, "theirs", model), env, home / "work")

    def _home(self, name: str) -> Path:
        home = self.folder / f"home-{name}"
        (home / "work").mkdir(parents=True, exist_ok=True)
        return home


@contextmanager
def set_stage(folder: Path, reference: Reference | None) -> Iterator[Stage]:
    """Start the room server and the scripted model; stop both at the end."""
    env = environment(folder)
    data = ["--data-dir", str(folder / "data")]
    with ExitStack() as stack:
        started = subprocess.run(
            [script("process"), "room", "start", "--port", "0", "--json", *data],
            env=env,
            check=True,
            capture_output=True,
            text=True,
        )
        # A server that does not stop says so itself; what was measured is not lost for it.
        stack.callback(subprocess.run, [script("process"), "room", "stop", *data], env=env, stdout=sys.stderr)
        log = folder / "scripted-model.json"
        child = stack.enter_context(
            running(
                [sys.executable, "-m", "benchmarks.scripted_model"], env, Path(__file__).parent.parent, log
            )
        )
        yield Stage(folder, json.loads(started.stdout), _first_line(child, log), reference)


def codex_binary() -> Path:
    """The Codex that all agents here use."""
    from codex_cli_bin import bundled_codex_path

    return Path(bundled_codex_path())


def _first_line(child: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    import time

    for _ in range(1000):
        text = log.read_text()
        if "\n" in text:
            line: dict[str, str] = json.loads(text.splitlines()[0])
            return line
        if child.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError(f"the scripted model did not start: {log.read_text()}")
