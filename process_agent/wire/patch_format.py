"""Patches as Codex's `apply_patch` takes them: read, and applied to texts. Pure.

The format is that of the grammar Codex 0.163.0 gives its models: files that are added, deleted or updated,
an update being chunks of context, removed and added lines, without line numbers. A chunk is looked for from
the one before on; where its lines are not there to the letter, blanks at their ends, then around them, do not
count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

BEGIN: Final = "*** Begin Patch"
END: Final = "*** End Patch"

MAX_PATCH: Final = 1024 * 1024
"""Characters of one patch."""

MAX_WORK: Final = 20_000_000
"""Lines of a file times chunks of its patch: how long looking for them may take."""

CONTEXT: Final = 3
"""Unchanged lines around a change in a diff."""

_ADD, _DELETE, _UPDATE = "*** Add File: ", "*** Delete File: ", "*** Update File: "
_MOVE, _END_OF_FILE = "*** Move to: ", "*** End of File"

type Sign = Literal[" ", "-", "+"]
type Line = tuple[Sign, str]
"""A line of a file, and whether it stays, goes or is new."""


class PatchError(ValueError):
    """The patch cannot be read, or does not fit its files; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines to find and change, after the `anchors`, each a line that comes after the one before. `at_end`
    says that the file ends here.
    """

    lines: tuple[Line, ...]
    anchors: tuple[str, ...] = ()
    at_end: bool = False

    @property
    def old(self) -> tuple[str, ...]:
        """The lines as they are in the file."""
        return tuple(text for sign, text in self.lines if sign != "+")


@dataclass(frozen=True, slots=True)
class AddFile:
    """A file that is made, or written anew."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """A file that goes."""

    path: str


@dataclass(frozen=True, slots=True)
class UpdateFile:
    """A file that is changed, and perhaps moved."""

    path: str
    chunks: tuple[Chunk, ...]
    move_to: str | None = None


type FileStep = AddFile | DeleteFile | UpdateFile


def read_patch(text: str) -> tuple[FileStep, ...]:
    """The steps of a patch. Raises `PatchError`."""
    if len(text) > MAX_PATCH:
        raise PatchError(f"The patch has more than {MAX_PATCH:,} characters.")
    lines = _unwrapped(text.strip().replace("\r\n", "\n").split("\n"))
    if not lines or lines[0].strip() != BEGIN:
        raise PatchError(f"The first line of a patch is {BEGIN!r}.")
    if lines[-1].strip() != END:
        raise PatchError(f"The last line of a patch is {END!r}.")
    steps = tuple(_Reader(lines[1:-1]).steps())
    if not steps:
        raise PatchError("The patch changes no file.")
    return steps


def update_lines(content: str, step: UpdateFile) -> list[Line]:
    """All lines of a file with what the step does to them. Raises `PatchError` where a chunk does not fit.

    Lines that stay are those of the file. Line endings are `\\n`; whoever reads the file sees to others. A
    last line without one goes and comes back, as the new text ends with a newline.
    """
    old = split_lines(content)
    if len(old) * len(step.chunks) > MAX_WORK:
        raise PatchError(f"{step.path} is too long for a patch of {len(step.chunks)} chunks; use fewer.")
    found = _Lines(old)
    done: list[Line] = []
    at = 0
    for chunk in step.chunks:
        start = _find(found, chunk, at, step.path)
        done += [(" ", line) for line in old[at:start]]
        at = start
        for sign, text in chunk.lines:
            if sign == "+":
                done.append(("+", text))
            else:
                done.append((sign, old[at]))
                at += 1
    done += [(" ", line) for line in old[at:]]
    if old and not content.endswith("\n"):
        last = max(number for number, (sign, _) in enumerate(done) if sign != "+")
        sign, text = done[last]
        if sign == " ":
            done[last : last + 1] = [("-", text), ("+", text)]
    return done


def split_lines(content: str) -> list[str]:
    """The lines of a text, without their ends."""
    return content.removesuffix("\n").split("\n") if content else []


def new_text(lines: Sequence[Line]) -> str:
    """What the file holds afterwards; it ends with a newline, as Codex has it."""
    kept = [text for sign, text in lines if sign != "-"]
    return "".join(f"{line}\n" for line in kept)


def hunks(lines: Sequence[Line], *, ended: bool = True) -> str:
    """The hunks of a unified diff. `ended` says whether the old text ended with a newline."""
    changed = [n for n, (sign, _) in enumerate(lines) if sign != " "]
    last_old = max((n for n, (sign, _) in enumerate(lines) if sign != "+"), default=-1)
    found: list[str] = []
    old = new = position = 0
    for start, end in _groups(changed, len(lines)):
        while position < start:
            old, new, position = old + 1, new + 1, position + 1
        body = lines[start:end]
        old_count, new_count = sum(s != "+" for s, _ in body), sum(s != "-" for s, _ in body)
        head = f"@@ -{old + (old_count > 0)},{old_count} +{new + (new_count > 0)},{new_count} @@\n"
        found.append(head)
        for number, (sign, text) in enumerate(body, start):
            found.append(f"{sign}{text}\n")
            if number == last_old and not ended:
                found.append("\\ No newline at end of file\n")
        old, new, position = old + old_count, new + new_count, end
    return "".join(found)


def _groups(changed: Sequence[int], length: int) -> Iterator[tuple[int, int]]:
    """Where hunks begin and end: changes with their context, joined where they meet."""
    start = end = -1
    for number in changed:
        if start >= 0 and number - CONTEXT > end:
            yield start, end
            start = -1
        if start < 0:
            start = max(0, number - CONTEXT)
        end = min(length, number + 1 + CONTEXT)
    if start >= 0:
        yield start, end


def _unwrapped(lines: list[str]) -> list[str]:
    """Without the heredoc that models like to put around a patch for a shell."""
    first, last = (lines[0].strip(), lines[-1].strip()) if len(lines) > 2 else ("", "")
    wrapped = first in ("<<EOF", "<<'EOF'", '<<"EOF"') and last == "EOF"
    return lines[1:-1] if wrapped else lines


@dataclass(slots=True)
class _Reader:
    lines: Sequence[str]
    at: int = field(default=0)

    def steps(self) -> Iterator[FileStep]:
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if line.startswith(_ADD):
                added = self._while(lambda text: text.startswith("+"))
                content = "".join(f"{text[1:]}\n" for text in added)
                yield AddFile(_path(line.removeprefix(_ADD)), content)
            elif line.startswith(_DELETE):
                yield DeleteFile(_path(line.removeprefix(_DELETE)))
            elif line.startswith(_UPDATE):
                yield self._update(_path(line.removeprefix(_UPDATE)))
            elif line.strip():
                raise PatchError(
                    f"Line {self.at + 1} of the patch is not the head of a file: {line[:100]!r}. Write "
                    f"{_ADD!r}, {_DELETE!r} or {_UPDATE!r} with a path; lines of a new file begin with '+'."
                )

    def _update(self, path: str) -> UpdateFile:
        move_to = None
        if self.at < len(self.lines) and self.lines[self.at].startswith(_MOVE):
            move_to = _path(self.lines[self.at].removeprefix(_MOVE))
            self.at += 1
        chunks: list[Chunk] = []
        while self.at < len(self.lines) and not self._is_head(self.lines[self.at]):
            if not self.lines[self.at].strip() and self._rest_is_blank():
                self.at += 1
                continue
            chunks.append(self._chunk(path, first=not chunks))
        if not chunks and move_to is None:
            raise PatchError(f"The patch of {path} has no lines.")
        return UpdateFile(path, tuple(chunks), move_to)

    def _chunk(self, path: str, *, first: bool) -> Chunk:
        heads = self._while(lambda text: text.startswith("@@"))
        if not heads and not first:
            raise PatchError(f"Line {self.at + 2} of the patch, in {path}, begins with none of '@@ +-'.")
        lines: list[Line] = [_line(text) for text in self._while(_is_change)]
        at_end = self.at < len(self.lines) and self.lines[self.at].strip() == _END_OF_FILE
        if at_end:
            self.at += 1
        while not at_end and lines and lines[-1] == (" ", "") and self._ends_here():
            lines.pop()  # blank lines before the next file are no lines of this one
        if not lines:
            raise PatchError(f"Line {self.at + 2} of the patch, in {path}, begins with none of '@@ +-'.")
        anchors = tuple(found for head in heads if (found := head.removeprefix("@@").strip()))
        return Chunk(tuple(lines), anchors, at_end)

    def _ends_here(self) -> bool:
        return self.at >= len(self.lines) or self._is_head(self.lines[self.at])

    def _rest_is_blank(self) -> bool:
        for line in self.lines[self.at :]:
            if line.strip():
                return self._is_head(line)
        return True

    def _while(self, fits: Callable[[str], bool]) -> list[str]:
        start = self.at
        while self.at < len(self.lines) and fits(self.lines[self.at]):
            self.at += 1
        return list(self.lines[start : self.at])

    @staticmethod
    def _is_head(line: str) -> bool:
        return line.startswith((_ADD, _DELETE, _UPDATE))


def _is_change(line: str) -> bool:
    return not line or line[0] in " +-"


def _line(text: str) -> Line:
    if text.startswith("+"):
        return "+", text[1:]
    if text.startswith("-"):
        return "-", text[1:]
    return " ", text[1:]


def _path(text: str) -> str:
    path = text.strip()
    if not path or "\0" in path:
        raise PatchError("The patch names a file without a path.")
    return path


class _Lines:
    """The lines of a file, as each kind of sameness sees them."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.count = len(lines)
        self._seen: list[Sequence[str]] = [lines]

    def seen(self, kind: int) -> Sequence[str]:
        """The lines as `_SAMENESS[kind]` makes them."""
        while len(self._seen) <= kind:
            self._seen.append([_SAMENESS[len(self._seen)](line) for line in self._seen[0]])
        return self._seen[kind]


def _find(lines: _Lines, chunk: Chunk, start: int, path: str) -> int:
    """Where the old lines of a chunk begin."""
    for anchor in chunk.anchors:
        start = _anchored(lines, anchor, start, path)
    wanted = chunk.old
    if not wanted:  # only new lines: at the end, or right after the anchor
        return start if chunk.anchors and not chunk.at_end else lines.count
    end = lines.count - len(wanted)
    places = [at for at in ([end] if chunk.at_end else []) if at >= start]
    places += range(start, end + 1)
    for kind, same in enumerate(_SAMENESS):
        alike, found = [same(line) for line in wanted], lines.seen(kind)
        for at in places:
            if found[at] == alike[0] and list(found[at : at + len(alike)]) == alike:
                return at
    shown = "\n".join(wanted)[:1_000]
    raise PatchError(
        f"These lines are not in {path}{' after the chunk before' if start else ''}:\n{shown}\n"
        "Read the file again and write the patch for what it holds now."
    )


def _anchored(lines: _Lines, anchor: str, start: int, path: str) -> int:
    for kind, same in enumerate(_SAMENESS):
        wanted, found = same(anchor), lines.seen(kind)
        for at in range(start, lines.count):
            if found[at] == wanted:
                return at + 1
    raise PatchError(f"There is no line {anchor[:200]!r} in {path} to begin after.")


def _exact(line: str) -> str:
    return line


_SAMENESS: Final[tuple[Callable[[str], str], ...]] = (_exact, str.rstrip, str.strip)
