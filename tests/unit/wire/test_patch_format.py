"""Patches as Codex's `apply_patch` takes them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from process_agent.scripted.patches import update_file
from process_agent.wire.patch_format import (
    AddFile,
    Chunk,
    DeleteFile,
    PatchError,
    UpdateFile,
    hunks,
    new_text,
    read_patch,
    update_lines,
)


def patch(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def updated(content: str, *lines: str) -> str:
    (step,) = read_patch(patch("*** Update File: a", *lines))
    assert isinstance(step, UpdateFile)
    return new_text(update_lines(content, step))


def test_every_kind_of_step_is_read() -> None:
    text = patch(
        "*** Add File: new.txt",
        "+one",
        "+",
        "*** Delete File: old.txt",
        "*** Update File: a.py",
        "*** Move to: b.py",
        "@@ class A:",
        "@@ def f():",
        " x",
        "-y",
        "+z",
        "",
        "@@",
        "+end",
        "*** End of File",
    )
    assert read_patch(text) == (
        AddFile("new.txt", "one\n\n"),
        DeleteFile("old.txt"),
        UpdateFile(
            "a.py",
            (
                Chunk(((" ", "x"), ("-", "y"), ("+", "z"), (" ", "")), ("class A:", "def f():")),
                Chunk((("+", "end"),), (), at_end=True),
            ),
            "b.py",
        ),
    )
    assert read_patch(f"\n  <<'EOF'\n{text}\nEOF\n") == read_patch(text)
    assert read_patch(text.replace("\n", "\r\n")) == read_patch(text)


def test_a_blank_line_before_the_next_file_is_none_of_the_file() -> None:
    one, two = read_patch(patch("*** Update File: a", "@@", "-x", "+y", "", "*** Delete File: b"))
    assert one == UpdateFile("a", (Chunk((("-", "x"), ("+", "y"))),))
    assert two == DeleteFile("b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line"),
        ("*** Begin Patch\n*** Delete File: a", "last line"),
        (patch(), "changes no file"),
        (patch("*** Add File:  "), "without a path"),
        (patch("*** Update File: a"), "has no lines"),
        (patch("*** Update File: a", "@@"), "begins with none of"),
        (patch("*** Update File: a", "@@", "-x", "*** Nothing"), "begins with none of"),
        (patch("hello"), "Line 2 of the patch is not the head"),
        (patch("*** Delete File: a\0b"), "without a path"),
        ("x" * 1_048_577, "more than 1,048,576 characters"),
    ],
)
def test_what_is_no_patch_says_so(text: str, said: str) -> None:
    with pytest.raises(PatchError, match=said):
        read_patch(text)


def test_chunks_are_found_after_one_another_and_after_their_anchors() -> None:
    content = "def a():\n    x = 1\ndef b():\n    x = 1\n"
    assert updated(content, "@@ def b():", "-    x = 1", "+    x = 2") == content[:-2] + "2\n"
    assert (
        updated(content, "@@", "-    x = 1", "+y", "@@", "-    x = 1", "+z") == "def a():\ny\ndef b():\nz\n"
    )
    assert updated(content, "-    x = 1", "+last", "*** End of File") == content[:-10] + "last\n"
    assert updated(content, "@@ def a():", "+    new") == content.replace("a():\n", "a():\n    new\n")
    assert updated(content, "+end") == f"{content}end\n"
    assert updated("", "+end") == "end\n"
    for lines, said in ((["@@", "-nothing"], "not in a"), (["@@ def c():", "+x"], "no line 'def c")):
        with pytest.raises(PatchError, match=said):
            updated(content, *lines)


def test_blanks_count_only_where_it_matters_and_lines_that_stay_are_those_of_the_file() -> None:
    assert updated("a  \n\tb\nc\n", "@@", " a", "-b", "+B") == "a  \nB\nc\n"


def test_a_patch_that_would_take_for_ever_is_refused() -> None:
    chunks = ["@@", "-x", "+y"] * 10_000
    with pytest.raises(PatchError, match="too long for a patch of 10000 chunks"):
        updated("a\n" * 10_000, *chunks)


def test_a_missing_newline_at_the_end_comes_back_and_is_shown() -> None:
    (step,) = read_patch(patch("*** Update File: a", "@@", "-x", "+y"))
    assert isinstance(step, UpdateFile)
    lines = update_lines("x\nend", step)
    assert new_text(lines) == "y\nend\n"
    assert hunks(lines, ended=False) == (
        "@@ -1,2 +1,2 @@\n-x\n+y\n-end\n\\ No newline at end of file\n+end\n"
    )


LINES = st.lists(st.sampled_from(["a", "b", "c", "  d", ""]), max_size=30)


def applied(old: str, diff: str) -> str:
    """What the hunks of a diff make of a text, by their line numbers alone."""
    lines, done, at = old.splitlines(), list[str](), 0
    for line in diff.splitlines():
        if line.startswith("@@"):
            start, count = map(int, line.split()[1][1:].split(","))
            first = start - 1 if count else start
            done += lines[at:first]
            at = first
        elif line.startswith("+"):
            done.append(line[1:])
        elif not line.startswith("\\"):
            assert lines[at] == line[1:]
            done += [line[1:]] if line.startswith(" ") else []
            at += 1
    return "".join(f"{line}\n" for line in [*done, *lines[at:]])


@given(LINES, LINES.filter(bool))
def test_a_patch_makes_of_one_text_the_other_and_its_diff_says_what(
    before: list[str], after: list[str]
) -> None:
    old, new = ("".join(f"{line}\n" for line in lines) for lines in (before, after))
    (step,) = read_patch(update_file("a", old, new)) if old != new else (None,)
    if not isinstance(step, UpdateFile):
        return
    lines = update_lines(old, step)
    assert new_text(lines) == new
    assert applied(old, hunks(lines)) == new


@example("@@\n")
@given(st.text(alphabet="*@+- \nabABCDEFGPUdeilmnoptuh:", max_size=200))
def test_anything_is_read_or_refused(text: str) -> None:
    for whole in (text, patch(text), patch("*** Update File: a", text)):
        try:
            read_patch(whole)
        except PatchError:
            continue
