"""The process that reads one PDF, and nothing else: the file on its standard input, its text on the output.

Started as `python -I -m process_agent.io.pdf_text_child` by `pdf_text`, with little memory and time.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import resource
import sys
from collections.abc import Iterator
from typing import Any, Final

MAX_PAGES: Final = 200
MAX_TEXT: Final = 100_000
"""Characters of the text."""

MAX_MEMORY: Final = 512 * 1024 * 1024
"""Private memory of the whole process."""

MAX_CPU_SECONDS: Final = 15


def main() -> None:
    """Read the file and tell its text, or the problem, as JSON. What else is wrong with it ends the process:
    its last line then says what.
    """
    _limit()
    logging.disable(logging.CRITICAL)
    sys.stdout.buffer.write(json.dumps(_read(sys.stdin.buffer.read())).encode())


def _read(data: bytes) -> dict[str, Any]:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        return {"problem": "it is protected by a password"}
    pages = len(reader.pages)
    texts, left = list[str](), MAX_TEXT
    for text in _texts(reader):
        texts.append(text[:left])
        left -= len(text)
        if left < 0:
            break
    return {"texts": texts, "pages": pages, "cut": left < 0}


def _texts(reader: Any) -> Iterator[str]:
    for number, page in enumerate(reader.pages):
        if number == MAX_PAGES:
            return
        text = page.extract_text().replace("\0", "")
        yield text.encode("utf-8", "replace").decode().strip()


def _limit() -> None:
    limits = (
        ("RLIMIT_DATA", MAX_MEMORY),
        ("RLIMIT_CPU", MAX_CPU_SECONDS),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
    )
    for name, value in limits:
        with contextlib.suppress(AttributeError, ValueError, OSError):  # not on every system
            resource.setrlimit(getattr(resource, name), (value, value))


if __name__ == "__main__":
    main()
