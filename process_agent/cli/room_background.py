"""The program behind `process room start`: leaves its starter's session, serves, reports once when ready.

Run as `python -m process_agent.cli.room_background DATA_DIR HOST PORT DESCRIPTOR`; PORT may be `None`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Detach and serve until SIGTERM."""
    data_dir, host, port, descriptor = sys.argv[1:]
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir(data_dir)
    os.umask(0o077)
    _serve(Path(data_dir), host, None if port == "None" else int(port), int(descriptor))


def _serve(data_dir: Path, host: str, port: int | None, descriptor: int) -> None:
    from process_agent.cli.logs import log_to_stderr
    from process_agent.config import DataPaths
    from process_agent.errors import ProcessError
    from process_agent.room_server import lifecycle
    from process_agent.studio import page

    log_to_stderr(layout="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        lifecycle.serve(
            DataPaths(data_dir),
            host=host,
            port=port,
            page=page.routes(),
            on_ready=lambda state: lifecycle.report(descriptor, state),
        )
    except ProcessError as error:
        lifecycle.report(descriptor, error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
