"""The command line. `main` is what the `process` program calls."""

from __future__ import annotations

import sys

from process_agent.errors import ProcessError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count it."""

COMPLETE = "__complete"
"""What the scripts of `process completion` ask with."""


def main() -> None:
    """Run the command in `sys.argv`; errors become one line on stderr and their exit code."""
    if sys.argv[1:2] == [COMPLETE]:
        from process_agent.cli.completion.answers import answer

        sys.stdout.write(answer(sys.argv[2], sys.argv[3:]))
        return
    from process_agent.cli.tree import command

    try:
        command()()
    except ProcessError as error:
        from process_agent.viewer.terminal.plain import printable

        print(f"process: {printable(str(error))}", file=sys.stderr)  # it may quote an agent or a participant
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
