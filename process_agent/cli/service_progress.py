"""What a deploy says, and how one waits for what it started."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import typer

from process_agent.errors import BackendError, TimeLimitError

if TYPE_CHECKING:
    from process_agent.cli.service_place import Found, ServicePlace
    from process_agent.cli.summary import Lines


def report(as_json: bool, service: Found | None, lines: Lines, **facts: Any) -> None:
    """Print the outcome of a deploy, as text or as one line of JSON."""
    from process_agent.cli.summary import as_text

    if as_json:
        typer.echo(json.dumps({**({} if service is None else service.as_json()), **facts}))
    else:
        typer.echo(as_text(lines))


def until_it_runs(
    place: ServicePlace,
    service: Found,
    seconds: float,
    position: int,
    not_container: object = None,
    *,
    patient: bool = False,
) -> None:
    """Wait until the service is in its room, its log and its phases on standard error; one in the container
    `not_container` is still the old one.

    Raises `BackendError` when it ends instead, and `TimeLimitError`. With `patient`, that it had
    ended before and waits to be started again is no answer yet.
    """
    from process_agent.viewer.terminal.plain import printable

    until, said = time.monotonic() + seconds, ""
    tried, ends = not patient, None
    while True:
        text, position = place.log_after(service, position)
        sys.stderr.write(printable(text))
        now = next((each for each in place.services() if each.id == service.id), None)
        if now is None:
            raise BackendError(f"The service {service.name!r} was removed meanwhile.")
        state = now.state or {}
        phase = str(state.get("phase", "unknown"))
        if not_container is not None and state.get("container") == not_container:
            phase = "not yet in a new container"
        if phase != said:
            print(printable(f"{service.name}: {phase}"), file=sys.stderr, flush=True)
            said = phase
        if phase == "running":
            return
        ends = state.get("restarts") if ends is None else ends
        tried = tried or phase != "waiting" or state.get("restarts") != ends
        if phase == "stopped" or (phase == "waiting" and tried):
            sys.stderr.write(printable(place.log_after(service, position)[0]))
            reason = printable(str(state.get("last_end") or "nobody knows why"))
            raise BackendError(
                f"The service {service.name!r} does not run: {reason}.",
                fix=f"See process service logs {service.name}; it is started again meanwhile.",
            )
        if time.monotonic() >= until:
            raise TimeLimitError(
                f"The service {service.name!r} was not in its room after {seconds:.0f} s.",
                fix=f"See process service logs {service.name}, or wait longer with --wait-timeout.",
            )
        place.pause(place.look_seconds)
