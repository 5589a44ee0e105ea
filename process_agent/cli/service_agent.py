"""The program behind a service of the local room: `process`, with one stream for all it prints.

Run as `python -m process_agent.cli.service_agent join …`; the room's server keeps what comes out as the log.
"""

from __future__ import annotations

import os
import sys

from process_agent.cli import main

if __name__ == "__main__":
    os.umask(0o077)
    os.dup2(sys.stdout.fileno(), sys.stderr.fileno())
    main()
