"""The text of a PDF, for models whose provider reads none: taken out by a process of its own.

Strangers make PDFs, and reading one can take any amount of time and memory: the process has little of both,
no files to write, and is killed when its time is over. It is `pdf_text_child`; the library is in the extra
`pdf`.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from process_agent.errors import ToolFailedError
from process_agent.io import pdf_text_child
from process_agent.io.run import run

SECONDS = 20.0
"""How long one PDF may take."""

MAX_PROBLEM = 200
"""Characters of what is said of a file that cannot be read."""


@dataclass(frozen=True, slots=True)
class PdfText:
    """What was read: page by page, as far as the limits go. `pages` is how many the file has."""

    texts: tuple[str, ...]
    pages: int
    cut: bool

    @property
    def text(self) -> str:
        """All of it, each page under its number, and a statement of what is left out."""
        found = [f"[page {number}]\n{text}" for number, text in enumerate(self.texts, 1) if text]
        if found and (self.cut or len(self.texts) < self.pages):
            found.append(f"[The rest is left out: {len(self.texts)} of {self.pages} pages were read.]")
        return "\n".join(found)


def available() -> bool:
    """Whether the library is installed."""
    return importlib.util.find_spec("pypdf") is not None


async def pdf_text(data: bytes) -> PdfText:
    """The text of a PDF. Raises `ToolFailedError`, in words for a model, when it cannot be read in time."""
    command = [sys.executable, "-I", "-m", pdf_text_child.__name__]
    try:
        done = await run(command, folder=Path("/"), environment={}, seconds=SECONDS, given=data)
    except TimeoutError:
        raise ToolFailedError(f"its text could not be read within {SECONDS:g} s") from None
    except OSError as error:
        raise ToolFailedError(f"its text cannot be read here: {error.strerror}") from error
    if done.code != 0:
        last = done.errors.strip().rpartition("\n")[2]
        last = re.sub(r"^(?:\w+\.)+(?=\w)", "", last).rstrip(".")
        raise ToolFailedError(
            f"its text cannot be read: {last[:MAX_PROBLEM] or 'it takes more than there is'}"
        )
    told = json.loads(done.output)
    if "problem" in told:
        raise ToolFailedError(f"its text cannot be read: {told['problem']}")
    return PdfText(tuple(told["texts"]), told["pages"], told["cut"])
