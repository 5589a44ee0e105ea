"""Which thread works where: a small file for each, below the agent's data folder."""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from process_agent.core.ids import ThreadId
from process_agent.errors import WorkspaceError

logger = logging.getLogger(__name__)

MAX_SLUG: Final = 40
"""Characters of a thread's title in the name of its branch."""


@dataclass(frozen=True, slots=True)
class Place:
    """The work tree of a thread: `tree` on `branch`, made from the commit `base` of `repository`. Commands
    run in `below`, seen from there.
    """

    thread_id: ThreadId
    repository: Path
    tree: Path
    branch: str
    base: str
    below: str = ""

    @property
    def folder(self) -> Path:
        """Where commands run."""
        return self.tree / self.below if self.below else self.tree


def agent_home(data_dir: Path, agent_name: str) -> Path:
    """Where an agent keeps what it knows of workspaces."""
    name = "".join(char if char.isalnum() or char in "-_" else "_" for char in agent_name)[:100]
    return data_dir.absolute() / "workspaces" / name


def places_of(data_dir: Path, agent_name: str) -> Places:
    """The places of an agent's threads."""
    return Places(agent_home(data_dir, agent_name) / "worktrees")


def place_of(data_dir: Path, thread_id: ThreadId) -> Place | None:
    """Where a thread of any agent works, as far as it is known on this machine."""
    folders = sorted((data_dir.absolute() / "workspaces").glob("*/worktrees"))
    return next((place for folder in folders if (place := Places(folder).of(thread_id))), None)


class Places:
    """The places of one agent's threads, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, thread_id: ThreadId, repository: Path | None = None) -> Place | None:
        """Where a thread works, in this repository or in any."""
        found = (place for place in self._all(thread_id) if repository in (None, place.repository))
        return next(found, None)

    def keep(self, place: Place) -> None:
        """Note it. Raises `WorkspaceError`."""
        said = {name: str(value) for name, value in asdict(place).items()}
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file(place).write_text(json.dumps(said), "utf-8")
        except OSError as error:
            raise WorkspaceError(f"{self._folder} cannot be written: {error.strerror or error}") from error

    def forget(self, place: Place) -> None:
        """The work tree is gone."""
        self._file(place).unlink(missing_ok=True)

    def _file(self, place: Place) -> Path:
        return self._folder / f"{_short(place.thread_id)}-{_short(str(place.repository))}.json"

    def _all(self, thread_id: ThreadId) -> Iterator[Place]:
        for path in sorted(self._folder.glob(f"{_short(thread_id)}-*.json")):
            try:
                said = json.loads(path.read_text("utf-8"))
                yield Place(
                    ThreadId(said["thread_id"]),
                    Path(said["repository"]),
                    Path(said["tree"]),
                    said["branch"],
                    said["base"],
                    said["below"],
                )
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("%s cannot be read: %s", path, error)


def branch_name(title: str, thread_id: ThreadId) -> str:
    """A readable branch of its own: `process/fix-the-login-3fa9c2`."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_SLUG].strip("-") or "thread"
    return f"process/{slug}-{_short(thread_id)[:6]}"


def _short(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
