"""`python -m benchmarks.scripted_model`: the scripted model in a process of its own, until its input ends.

It prints one line of JSON with `base_url` and `api_key`. Agents under measurement use this one, so that the
model's own cost is not counted as theirs.
"""

from __future__ import annotations

import asyncio
import json
import sys

from starlette.requests import Request

from process_agent.scripted.server import ScriptedServer


class OpenModel(ScriptedServer):
    """Takes any key: the reference sends its participant's token, whatever key it is given."""

    def _is_allowed(self, request: Request) -> bool:
        return True


async def main() -> None:
    async with OpenModel(kept_requests=1) as server:
        print(json.dumps({"base_url": server.base_url, "api_key": server.api_key}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
