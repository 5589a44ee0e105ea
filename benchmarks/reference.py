"""The published `meshagent` CLI, in an environment of its own, never in ours."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VERSION = "0.55.1"
PACKAGE = f"meshagent-cli=={VERSION}"
DEFAULT_FOLDER = Path(__file__).parent.parent / ".venv-reference"

_CODEX_CONFIG = """\
model_provider = "scripted"
approval_policy = "on-request"
sandbox_mode = "workspace-write"
check_for_update_on_startup = false
web_search = "disabled"

[features]
plugins = false
apps = false
remote_plugin = false
plugin_sharing = false
tool_suggest = false
goals = false
multi_agent = false
image_generation = false

[analytics]
enabled = false

[model_providers.scripted]
name = "Scripted model"
base_url = "{base_url}"
env_key = "SCRIPTED_KEY"
wire_api = "responses"
"""


@dataclass(frozen=True, slots=True)
class Reference:
    """An installed reference CLI."""

    program: Path

    def join_command(self, room: str, agent: str, model: str) -> list[str]:
        """Its way to join a room with a chat channel."""
        names = ["--room", room, "--agent-name", agent, "--channel", "chat"]
        return [str(self.program), "process", "join", *names, "--model", model]

    def variables(self, api_url: str, token: str, home: Path, model: dict[str, str]) -> dict[str, str]:
        """What it needs in its environment; writes the Codex configuration it reads below `home`.

        `model` holds base_url and api_key of the scripted model.
        """
        codex_home = home / ".codex"
        codex_home.mkdir(parents=True, exist_ok=True)
        (codex_home / "config.toml").write_text(_CODEX_CONFIG.format(base_url=model["base_url"]))
        return {
            "MESHAGENT_API_URL": api_url,
            "MESHAGENT_TOKEN": token,
            "MESHAGENT_PROJECT_ID": "local",
            "MESHAGENT_DISABLE_VERSION_CHECK": "1",
            "CODEX_HOME": str(codex_home),
            "SCRIPTED_KEY": model["api_key"],
            "ANTHROPIC_BASE_URL": model["base_url"].removesuffix("/v1"),
            "ANTHROPIC_API_KEY": model["api_key"],
            "NO_PROXY": "127.0.0.1,localhost",
        }


def find(given: Path | None) -> Reference | None:
    """The reference in `given` (a virtual environment or its program), else in `.venv-reference`, else None.

    Raises FileNotFoundError when `given` holds none.
    """
    for place in [given] if given is not None else [DEFAULT_FOLDER]:
        for program in (place, place / "bin" / "meshagent"):
            if program.is_file():
                return Reference(program.absolute())
    if given is not None:
        raise FileNotFoundError(f"there is no meshagent CLI in {given}")
    return None


def install(folder: Path = DEFAULT_FOLDER) -> None:
    """Install the reference into an environment of its own. Raises CalledProcessError when that fails."""
    if not (folder / "bin" / "meshagent").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", PACKAGE], check=True)
