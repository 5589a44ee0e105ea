"""What the input line knows: how slash commands go on, and what was typed before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from process_agent.viewer.terminal.completing import completions
from process_agent.viewer.terminal.session import Session

ATTACH = "/attach "

HISTORY_LINES = 10_000
"""Lines a history file may have before its older half is dropped."""


class SlashCompleter(Completer):
    """Completes slash commands and their arguments."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._files = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """See `completing.completions`; behind `/attach` the files of this machine."""
        session, text = self._session, document.text_before_cursor
        if text.startswith(ATTACH):
            yield from self._files.get_completions(Document(text.removeprefix(ATTACH)), complete_event)
            return
        files = session.saving.names(session.view) if text.startswith("/save ") else ()
        attached = [one.name for one in session.attaching.pending]
        found = completions(text, session.known.providers, session.known.listed, files, attached)
        for word, explanation, replaced in found:
            yield Completion(word, start_position=-replaced, display_meta=explanation)


def typed_before(path: Path | None) -> History:
    """The history in a file that only its owner can read; in memory when it cannot be written."""
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        if len(lines) > HISTORY_LINES:
            path.write_text("".join(lines[-HISTORY_LINES // 2 :]), encoding="utf-8")
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
