"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from process_agent import errors

ROOT = Path(__file__).parents[3]
MAX_LINES = 400
MAX_FUNCTION_LINES = 60


def sources() -> Iterator[Path]:
    for folder in ("process_agent", "backends"):
        yield from sorted((ROOT / folder).rglob("*.py"))
    yield from sorted((ROOT / "process_agent" / "studio" / "static").glob("[!v]*/*.js"))


def test_every_file_is_read_in_one_sitting() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in sources()
        if "vendor" not in path.parts and (count := len(path.read_text("utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.body[0].lineno


def test_every_function_fits_a_screen() -> None:
    python = [path for path in sources() if path.suffix == ".py"]
    long = {
        f"{path.relative_to(ROOT)}:{name}": lines
        for path in python
        for name, lines in functions(path)
        if lines > MAX_FUNCTION_LINES
    }
    assert long == {}


SILENCED = re.compile(r"# (?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\])(.*)$")


def test_what_a_checker_says_is_silenced_with_a_reason() -> None:
    """On the line, or in a comment above it."""
    bare = []
    for path in (path for path in sources() if path.suffix == ".py" and "generated" not in path.parts):
        above = ""
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            found = SILENCED.search(line)
            if found and not re.search(r"\w", found[1]) and not above.lstrip().startswith("#"):
                bare.append(f"{path.relative_to(ROOT)}:{number}")
            above = line
    assert bare == []


def test_the_error_tree_in_the_docstring_is_the_real_one() -> None:
    tree = errors.__doc__ or ""
    classes = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.ProcessError)
    ]
    assert classes
    for cls in classes:
        assert cls.__name__ in tree


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError, 2),
        (errors.AuthError, 3),
        (errors.RoomError, 4),
        (errors.BackendError, 5),
        (errors.TimeLimitError, 6),
    ],
)
def test_exit_codes_are_the_documented_ones(error: type[errors.ProcessError], code: int) -> None:
    assert error("x").exit_code == code


def test_no_address_of_a_package_index_is_committed() -> None:
    for name in ("pyproject.toml", "constraints.txt", "Makefile", "hatch_build.py", "README.md"):
        text = (ROOT / name).read_text("utf-8")
        assert "/simple" not in text
        assert "registry." not in text
