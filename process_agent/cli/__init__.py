"""The command line. `main` is what the `process` program calls."""

from __future__ import annotations

import sys

from process_agent.errors import ProcessError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count it."""


def main() -> None:
    """Run the command in `sys.argv`; errors become one line on stderr and their exit code."""
    from process_agent.cli.tree import command

    try:
        command()()
    except ProcessError as error:
        from process_agent.viewer.terminal.plain import printable

        print(f"process: {printable(str(error))}", file=sys.stderr)  # it may quote an agent or a participant
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
