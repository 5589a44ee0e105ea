"""Finds backends: entry points of the group `process_agent.backends`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points

from process_agent.core.backend import Backend, BackendConfig
from process_agent.errors import BackendError, UsageError

GROUP = "process_agent.backends"


def installed() -> tuple[str, ...]:
    """Names of the backends that are there."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def check(names: Iterable[str]) -> None:
    """Raise `UsageError` for the first name that has no backend."""
    here = installed()
    for name in names:
        if name not in here:
            raise _missing(name)


def create(name: str, config: BackendConfig) -> Backend:
    """Make a backend without starting it. Raises `UsageError` when there is none of that name, and
    `BackendError` when it cannot be loaded.
    """
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if not found:
        raise _missing(name)
    try:
        backend: Backend = found[0].load()(config)
    except ImportError as error:
        raise BackendError(
            f"The backend {name!r} cannot be loaded: {error}.",
            fix=f"Install it: pip install 'process-agent[{name}]'.",
        ) from error
    return backend


def _missing(name: str) -> UsageError:
    return UsageError(f"There is no backend {name!r}. Backends here: {', '.join(installed()) or 'none'}.")
