"""What Codex's own catalogue says of models: the description of ours, and context windows (page section 9).

`codex debug models --bundled` prints 660 kB in 25 ms; what is needed of it is kept for each version of Codex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.codex import client
from backends.codex.account import TEMPLATE_MODEL, Account
from backends.codex.launch import Launch, catalog, catalog_path
from backends.codex.shapes import as_dict, dicts
from process_agent.errors import BackendError
from process_agent.io.child import Command

COMPACTS_AT: Final = 90
"""Per cent of the whole window at which Codex compacts by itself (0.163.0: at 244,800 of 272,000)."""


@dataclass(frozen=True, slots=True)
class Window:
    """`whole` as the catalogue gives it, `usable` as Codex reports and fills it, both in tokens."""

    whole: int
    usable: int

    @property
    def compacts_at(self) -> int:
        """The fill at which Codex compacts by itself."""
        return self.whole * COMPACTS_AT // 100


type Windows = Mapping[str, Window]


async def describe_models(launch: Launch, folder: Path) -> Windows:
    """Describe our models to Codex with the entry of one it knows. Returns the windows of all of them.

    Raises `BackendError` when Codex does not list its models, `OSError` when the files cannot be written.
    """
    account, program = launch.account, launch.program
    target = catalog_path(folder, account, program.version) if account.slugs or account.extra else None
    kept = folder / f"windows-{program.version_text}.json"
    windows = _kept(kept)
    if windows is None or (target is not None and not target.is_file()):
        arguments = [str(program.path), "debug", "models", "--bundled"]
        listed = await client.read_catalog(Command(arguments, launch.command.environment, folder))
        windows = read_windows(listed)
        _write(kept, msgspec.json.encode({slug: [w.whole, w.usable] for slug, w in windows.items()}))
        if target is not None:
            text = catalog(listed, account)
            if text is None:
                raise BackendError(
                    f"Codex {program.version_text} does not know the model this backend builds on."
                )
            _write(target, text.encode())
    return _with_ours(windows, account)


def read_windows(listed: object) -> dict[str, Window]:
    """The windows in what `codex debug models` prints."""
    found: dict[str, Window] = {}
    for entry in dicts(as_dict(listed).get("models")):
        slug, whole = entry.get("slug"), entry.get("context_window")
        percent = entry.get("effective_context_window_percent", 100)
        if isinstance(slug, str) and isinstance(whole, int) and isinstance(percent, int):
            found[slug] = Window(whole, whole * percent // 100)
    return found


def _with_ours(windows: dict[str, Window], account: Account) -> Windows:
    """A model of ours has the window of the entry it was described with."""
    template = windows.get(TEMPLATE_MODEL)
    return (
        windows
        if template is None
        else {**dict.fromkeys((*account.slugs, *account.extra), template), **windows}
    )


def _kept(path: Path) -> dict[str, Window] | None:
    try:
        read: Any = msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[int, int]])
    except (OSError, msgspec.DecodeError):
        return None
    return {slug: Window(*sizes) for slug, sizes in read.items()}


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)
