"""Runs commands of the published CLI for a test, all in one process: it takes two seconds to load.

Started with the Python of the environment that has it, so it imports nothing of ours. A line in is the words
of a command as JSON, a line out `{"code", "said"}`. Ends when its input ends.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback

from meshagent.cli.cli import app

OUT = os.fdopen(os.dup(1), "w", buffering=1)


def run(words: list[str]) -> dict[str, object]:
    said = io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            sys.exit(app(words, prog_name="meshagent"))  # as the program itself does
        except SystemExit as ended:
            code = ended.code or 0
            if not isinstance(code, int):  # Python prints it, and ends with 1
                said.write(str(code))
                code = 1
        except BaseException:  # noqa: BLE001 # it is what is told
            traceback.print_exc()
            code = 1
    return {"code": code, "said": said.getvalue()}


if __name__ == "__main__":
    for line in sys.stdin:
        OUT.write(json.dumps(run(json.loads(line))) + "\n")
