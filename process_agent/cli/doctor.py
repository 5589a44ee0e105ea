"""`process doctor`: whether an agent could start here, and what to do where not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.agent_options import Port, Provider, Room, Sandbox, WorkingDir
from process_agent.cli.options import DataDir, Local, ProjectId

if TYPE_CHECKING:
    from process_agent.core.diagnosis import Finding

Backends = Annotated[
    list[str] | None,
    typer.Option("--backend", metavar="NAME", help="What the agent would run: codex or llm. Repeatable."),
]
Join = Annotated[bool, typer.Option("--join", help="Join the room for a moment too, as yourself.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def doctor(
    room: Room = None,
    backend: Backends = None,
    provider: Provider = None,
    working_dir: WorkingDir = None,
    sandbox: Sandbox = "workspace-write",
    join: Join = False,
    json: AsJson = False,
    local: Local = False,
    data_dir: DataDir = None,
    port: Port = None,
    project_id: ProjectId = None,
) -> None:
    """Look at everything an agent needs, and say what to do about what is not right.

    Python, the package, Codex and its login, providers of models, credentials, room, clock, sandbox, folders,
    disk and port. Nothing is changed, and no key is printed. Exit codes: 0 fine, 1 warnings, 2 errors.
    """
    import asyncio
    import logging

    from process_agent import config
    from process_agent.agent import registry
    from process_agent.cli.checked import SANDBOXES, folder, one_of
    from process_agent.cli.checkup.examination import Examination, examine
    from process_agent.cli.logs import log_to_stderr
    from process_agent.cli.providers import parse_providers
    from process_agent.core.diagnosis import EXIT_CODES, worst

    log_to_stderr(logging.ERROR)
    named = provider or []  # which of their models an agent would offer does not matter here
    backends = tuple(dict.fromkeys(backend or ("codex",)))
    registry.check(backends)
    wish = Examination(
        settings=config.load(),
        room=room,
        local=local,
        backends=backends,
        data_dir=data_dir,
        port=port,
        working_dir=folder(working_dir),
        sandbox=one_of("--sandbox", sandbox, SANDBOXES),
        project_id=project_id,
        join=join,
        providers=parse_providers(named, [f"{each.partition('=')[0]}/any" for each in named]),
    )
    findings = asyncio.run(examine(wish))
    typer.echo(as_json(findings) if json else as_text(findings))
    raise typer.Exit(EXIT_CODES[worst(findings)])


def as_text(findings: Sequence[Finding]) -> str:
    """One line for each finding, its fix below it, and a sentence at the end."""
    from process_agent.viewer.terminal.plain import printable

    width = max(len(finding.subject) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:<7}  {finding.subject:<{width}}  {printable(finding.text)}")
        if finding.fix is not None:
            lines.append(f"{'':<7}  {'':<{width}}  → {printable(finding.fix)}")
    return "\n".join([*lines, "", _end(findings)])


def _end(findings: Sequence[Finding]) -> str:
    errors, warnings = (sum(f.level == level for f in findings) for level in ("error", "warning"))
    if not errors and not warnings:
        return "All is well."
    counts = [
        f"{count} {word}{'s' if count > 1 else ''}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    return f"{' and '.join(counts)}."


def as_json(findings: Sequence[Finding]) -> str:
    """One object: the gravest level, and the findings in order."""
    import json
    from dataclasses import asdict

    from process_agent.core.diagnosis import worst

    return json.dumps({"level": worst(findings), "findings": [asdict(each) for each in findings]})
