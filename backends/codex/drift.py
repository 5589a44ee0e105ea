"""`python -m backends.codex.drift [--binary PROGRAM | --schema FILE] [--pin FILE]`

Compares the app-server of a program (the installed one unless told otherwise), or a schema bundle it wrote,
with the version this was built for. Prints what is new, gone and different, and what of it has no place here.
The exit status is 1 when something has none. With `--pin` the digest is written to FILE instead.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from backends.codex.surface import Digest, differences, digest, unknown

PINNED: Final = Path(__file__).with_name("surface.json")
_BUNDLE: Final = "codex_app_server_protocol.schemas.json"


def main(arguments: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m backends.codex.drift", description=__doc__)
    parser.add_argument("--binary", type=Path, help="a Codex program")
    parser.add_argument("--schema", type=Path, help="a bundle written by generate-json-schema --experimental")
    parser.add_argument("--pin", type=Path, metavar="FILE", help="write the digest to FILE")
    options = parser.parse_args(arguments)
    found = digest(json.loads(options.schema.read_text()) if options.schema else written_by(options.binary))
    if options.pin is not None:
        options.pin.write_text(as_text(found))
        return 0
    changed, homeless = differences(json.loads(PINNED.read_text()), found), unknown(found)
    for title, lines in (("Different from the pinned version", changed), ("Without a place here", homeless)):
        sys.stdout.write(f"{title}: {len(lines) or 'nothing'}\n" + "".join(f"  {line}\n" for line in lines))
    return 1 if homeless else 0


def written_by(program: Path | None) -> dict[str, Any]:
    """The schema bundle that a program writes, without and with what it calls experimental."""
    if program is None:
        from codex_cli_bin import bundled_codex_path

        program = Path(bundled_codex_path())
    with tempfile.TemporaryDirectory() as folder:
        command = [str(program), "app-server", "generate-json-schema", "--experimental", "--out", folder]
        subprocess.run(command, check=True, capture_output=True)
        bundle: dict[str, Any] = json.loads((Path(folder) / _BUNDLE).read_text())
    return bundle


def as_text(found: Digest) -> str:
    """A digest as JSON, a name and its members on each line."""
    parts = []
    for name, entries in found.items():
        lines = [f"  {json.dumps(each)}: {json.dumps(members)}" for each, members in entries.items()]
        parts.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
