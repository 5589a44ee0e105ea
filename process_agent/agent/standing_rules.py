"""What an agent is told in every turn: rules of the command line, and files that are read again each time.

The files are kept in the room, or, for instructions, below the folder in which the agent was started. An edit
applies from the next turn on. A file that is missing is said once, in the log and in the thread whose turn
found it missing, and looked for again before each turn; one that cannot be read for any other reason keeps
what it said last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from process_agent.core.room_ports import RoomFiles
from process_agent.core.rules import MAX_RULES, Rules, parse_rules
from process_agent.errors import RoomError, RoomRequestError
from process_agent.io.project_docs import project_docs

logger = logging.getLogger(__name__)

READ_SECONDS = 10.0
"""How long a file of the room may take; then the turn goes on with what it said last."""

MAX_FOLDERS = 1_000
"""Working folders of which it is remembered what was said of their files."""

_NOT_FOUND = (1003, 3001)
"""Codes of the room for a file that is missing (room protocol section 6.2)."""


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A file of rules, or of instructions as they are. Its path is one of the room's storage; instructions
    may also be a file below the agent's own folder, which comes first.
    """

    path: str
    kind: Literal["rules", "instructions"] = "rules"


@dataclass(frozen=True, slots=True)
class RulesOptions:
    """What the command line says about rules. `folder` is where the agent was started."""

    given: Rules = field(default_factory=Rules)
    files: tuple[RuleFile, ...] = ()
    folder: Path = Path()


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for one turn, None for nothing, and what there is to say about the files."""

    text: str | None = None
    news: tuple[str, ...] = ()


class _Problem(Exception):
    """Why a file has no text. `keep` says that what it said last still holds."""

    def __init__(self, text: str, *, keep: bool = True) -> None:
        super().__init__(text)
        self.keep = keep


class StandingRules:
    """The rules of one agent. Without `files` there is no room to read any from."""

    def __init__(self, options: RulesOptions, files: RoomFiles | None) -> None:
        self._options = options
        self._files = files
        self._texts: dict[RuleFile, str] = {}
        self._problems: dict[RuleFile, str] = {}
        self._unsaid: list[str] = []
        self._of_projects: dict[Path, tuple[str, ...]] = {}
        """What was said last of the project's files, by working folder."""

    async def start(self) -> None:
        """Read all files once, so that the log tells at the start what is missing. Raises nothing."""
        await self._refresh()

    async def read(self, client: str | None, folder: Path | None = None) -> Standing:
        """What holds now for a participant whose client has this name, and for a model that works in this
        folder and does not read the project's files itself. Raises nothing.
        """
        await self._refresh()
        news, self._unsaid = self._unsaid, []
        text = self._text(client)
        if folder is None:
            return Standing(text, tuple(news))
        project = await asyncio.to_thread(project_docs, folder)
        return Standing(
            "\n\n".join(part for part in (text, project.text) if part) or None,
            (*news, *self._project_news(folder, project.news)),
        )

    def _project_news(self, folder: Path, news: tuple[str, ...]) -> tuple[str, ...]:
        known = self._of_projects.pop(folder, ())
        if news:
            self._of_projects[folder] = news
        while len(self._of_projects) > MAX_FOLDERS:
            del self._of_projects[next(iter(self._of_projects))]
        found = tuple(text for text in news if text not in known)
        for text in found:
            logger.warning("%s", text)
        return found

    async def _refresh(self) -> None:
        sources = self._options.files
        if not sources:
            return
        found = await asyncio.gather(*map(self._read, sources))
        for source, problem in zip(sources, found, strict=True):
            for text in self._news(source, problem):
                logger.log(logging.INFO if problem is None else logging.WARNING, "%s", text)
                self._unsaid.append(text)

    async def _read(self, source: RuleFile) -> str | None:
        """Read one file again. Returns the problem with it."""
        try:
            self._texts[source] = await self._content(source)
        except _Problem as problem:
            if not problem.keep:
                self._texts.pop(source, None)
            return str(problem)
        return None

    async def _content(self, source: RuleFile) -> str:
        data = await asyncio.to_thread(self._local, source) if source.kind == "instructions" else None
        if data is None:
            data = await self._stored(source.path)
        try:
            return data.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            raise _Problem("it is not UTF-8") from None

    def _local(self, source: RuleFile) -> bytes | None:
        """The file below the agent's folder, None when there is none; links out of it are not followed."""
        folder = self._options.folder.resolve()
        path = (folder / source.path).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            return None
        try:
            with path.open("rb") as file:
                data = file.read(MAX_RULES + 1)
        except OSError as error:
            raise _Problem(error.strerror or str(error)) from None
        if len(data) > MAX_RULES:
            raise _Problem(f"it has more than {MAX_RULES} bytes")
        return data

    async def _stored(self, path: str) -> bytes:
        if self._files is None:
            raise _Problem("this agent is in no room that keeps files", keep=False)
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await self._files.read(path.removeprefix("room:").lstrip("/"), MAX_RULES)
        except RoomRequestError as error:
            if error.code in _NOT_FOUND:
                raise _Problem("it is missing", keep=False) from None
            raise _Problem(error.message) from None
        except RoomError as error:
            raise _Problem(error.message) from None
        except TimeoutError:
            raise _Problem(f"the room did not send it within {READ_SECONDS:g} s") from None

    def _news(self, source: RuleFile, problem: str | None) -> Sequence[str]:
        """What changed about a file since it was read last: said once."""
        if problem == self._problems.get(source):
            return ()
        if problem is None:
            del self._problems[source]
            return (f"The {source.kind} in {source.path} are read again.",)
        self._problems[source] = problem
        old = " What they said last holds on." if source in self._texts else ""
        return (f"The {source.kind} in {source.path} cannot be read: {problem.rstrip('.')}.{old}",)

    def _text(self, client: str | None) -> str | None:
        rules = list(self._options.given.for_client(client))
        blocks = []
        for source in self._options.files:
            text = self._texts.get(source, "")
            if source.kind == "rules":
                rules += parse_rules(text).for_client(client)
            elif text:
                blocks.append(text)
        return "\n\n".join(text for text in ("\n".join(rules), *blocks) if text) or None
