"""`/attach` and `/detach`: what the terminal says of the files that wait for the next message."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from process_agent.errors import UsageError
from process_agent.viewer.attaching import Attached, Attaching, paths_in
from process_agent.viewer.terminal import commands as c
from process_agent.viewer.terminal.plain import one_line, size


async def perform(command: c.Attach | c.Detach, attaching: Attaching) -> str:
    """Do it and say what was done. Raises what `Attaching` raises."""
    if isinstance(command, c.Detach):
        return f"No longer attached: {_names(await attaching.detach(command.ref))}."
    if not command.text:
        if not attaching.pending:
            raise UsageError("Nothing is attached.", fix="/attach FILE sends a file with the next message.")
        return f"Attached: {_names(attaching.pending)}."
    taken = await attaching.attach(paths_in(command.text))
    return f"{_names(taken)} will be sent with your next message."


def shown(files: Sequence[Attached]) -> list[RenderableType]:
    """The files that wait, one line each."""
    return [
        Text(f"+ {number} {one_line(one.name, 60)} · {size(one.size)}", "cyan")
        for number, one in enumerate(files, 1)
    ]


def _names(files: Sequence[Attached]) -> str:
    return ", ".join(one.name for one in files)
