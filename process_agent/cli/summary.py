"""What `process join` prints when the agent is ready."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from process_agent.config import DataPaths
    from process_agent.rooms.join import JoinTarget

type Lines = Sequence[tuple[str, str]]
"""Label and text, in order."""


def as_text(lines: Lines) -> str:
    """Aligned, one fact per line; texts of others cannot drive the terminal, or look like two facts."""
    from process_agent.viewer.terminal.plain import printable

    width = max(len(label) for label, _ in lines)
    return "\n".join(f"{label:<{width}}  {printable(text).replace('\n', ' ')}" for label, text in lines)


def as_json(lines: Lines) -> str:
    """One object; labels become keys like `working_folder`. A label that comes twice keeps both texts."""
    facts: dict[str, str] = {}
    for label, text in lines:
        key = label.replace(" ", "_")
        facts[key] = f"{facts[key]}; {text}" if key in facts else text
    return json.dumps(facts)


def studio_of(paths: DataPaths, target: JoinTarget) -> str:
    """Where people meet the agent: the local room's page, with a one-time code, or MeshAgent's Studio."""
    from process_agent.cli.who import login_name
    from process_agent.room_server.lifecycle import studio_link
    from process_agent.room_server.state import running

    state = running(paths)
    if state is not None and target.base_url == state.url:
        return studio_link(paths, state, target.room, login_name())
    return hosted_link(target)


def hosted_link(target: JoinTarget) -> str:
    """MeshAgent's Studio stands beside its API: `studio.` in place of `api.`. Elsewhere, the room itself."""
    from process_agent.rooms.tokens import read_claims

    claims = read_claims(target.token)
    scheme, _, host = target.base_url.partition("://")
    if not host.startswith("api.") or claims is None or claims.project_id is None:
        return target.url
    web = scheme.replace("ws", "http")
    return f"{web}://studio.{host.removeprefix('api.')}/projects/{claims.project_id}/rooms/{target.room}"
