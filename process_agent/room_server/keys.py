"""The signing key of the local room: 64 hexadecimal characters in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from process_agent.config import unusable_folder
from process_agent.errors import UsageError

_KEY_LENGTH = 64


def signing_key(path: Path) -> str:
    """The key in `path`, made first when there is none. Whoever comes first makes it; all get the same.

    Raises `UsageError` when the folder cannot be written, or the file is damaged or open to others.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as error:
        raise unusable_folder(path.parent, error) from error


def _create(path: Path) -> None:
    """Write the key beside its place and link it there, which fails when another was faster."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(_KEY_LENGTH // 2))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()


def _read(path: Path) -> str:
    with path.open() as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        key = file.read(_KEY_LENGTH + 2).strip()
    if mode & 0o077:
        raise UsageError(
            f"The signing key {path} can be read by others (mode {mode:o}).",
            fix=f"Run chmod 600 {path}, or remove the file to get a new key.",
        )
    if len(key) != _KEY_LENGTH:
        raise UsageError(
            f"The signing key {path} is damaged.", fix="Remove the file; the next start makes a new one."
        )
    return key
