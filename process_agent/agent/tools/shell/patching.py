"""`apply_patch`: files are changed by a patch in Codex's format, within what commands may write.

Paths are resolved first, and then opened step by step without following links, so that nothing checked can be
exchanged. A patch of anything that commands could not write asks, and nothing of such a file is read before
somebody has said yes: what does not fit would tell what is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from process_agent.agent.tools.shell.patched_files import Target, find_targets, make, view, work_out
from process_agent.agent.tools.tool import Arguments, Call, Need, Plan, Scope, Tool, parameters, unplanned
from process_agent.core.content import Json
from process_agent.core.tools import ToolOutput, ToolSpec
from process_agent.errors import ToolFailedError
from process_agent.io.command_profile import PROTECTED
from process_agent.io.command_sandbox import CommandSandbox
from process_agent.wire.patch_format import PatchError, read_patch

MAX_FILES: Final = 200
"""Files of one patch."""

_SECONDS: Final = 60.0

_ABOUT: Final = """\
Change files with a patch. Prefer this to commands that write files. A patch looks like this:

*** Begin Patch
*** Add File: docs/new.md
+every line of a new file begins with a plus
*** Update File: src/old.py
*** Move to: src/new.py
@@ def greet():
     name = "world"
-    print("hi")
+    print("hello", name)
*** Delete File: src/unused.py
*** End Patch

Move to is optional. Each @@ begins a chunk and may name a line that comes before it. Lines that stay begin
with a blank; about three of them around a change are enough. Paths are relative to the working folder."""


@dataclass(frozen=True, slots=True)
class PatchTool:
    """The tool, for an agent that works in `folder`."""

    sandbox: CommandSandbox
    folder: Path
    read_only: bool

    def tool(self) -> Tool:
        """The tool."""
        text: Json = {"type": "string", "description": "the whole patch, from Begin Patch to End Patch"}
        spec = ToolSpec("apply_patch", _ABOUT, parameters(["input"], input=text))
        return Tool(spec, unplanned, seconds=_SECONDS, prepare=self._planned, shown=_shown)

    async def _planned(self, arguments: Arguments, scope: Scope) -> Plan:
        text = _text_of(arguments)
        try:
            steps = read_patch(text)
        except PatchError as error:
            raise ToolFailedError(str(error)) from error
        if len(steps) > MAX_FILES:
            raise ToolFailedError(f"A patch can change {MAX_FILES} files; make it several.")
        folder = scope.folder or self.folder
        targets = await asyncio.to_thread(find_targets, steps, folder)
        refusal = self._refusal(targets, folder.resolve())
        if refusal is None and not self.sandbox.asks_always:
            files = await asyncio.to_thread(work_out, steps, targets)

            async def write(call: Call) -> ToolOutput:
                return await asyncio.to_thread(make, files)

            return Plan(write, shown=view(files))
        names = sorted(str(target.whole) for target in targets.values())

        async def write_allowed(call: Call) -> ToolOutput:
            found = await asyncio.to_thread(work_out, steps, targets)
            call.arguments_are(view(found))
            return await asyncio.to_thread(make, found)

        reason = refusal or self.sandbox.caution or ""
        return Plan(write_allowed, Need(f"patch:{names}", reason, lasting=True))

    def _refusal(self, targets: Mapping[str, Target], folder: Path) -> str | None:
        """Why commands could not change these files; None when they could."""
        if not self.sandbox.enforced:
            return None
        if self.read_only:
            return "The sandbox is read-only."
        for target in targets.values():
            path = target.whole
            if not path.is_relative_to(folder):
                return f"{path} is outside the working folder."
            parts = path.relative_to(folder).parts
            if parts[0].lower() in PROTECTED or ".git" in map(str.lower, parts):
                return f"{target.named} is protected: programs run what lies there."
            if any(path.is_relative_to(place) for place in (*self.sandbox.private, *self.sandbox.fixed)):
                return f"{target.named} is kept from commands."
        return None


def _text_of(arguments: Arguments) -> str:
    text = arguments.get("input", arguments.get("patch"))
    if not isinstance(text, str):
        raise ToolFailedError("The patch is missing: give it as text in input.")
    return text


def _shown(arguments: Arguments, scope: Scope) -> Mapping[str, Json]:
    return {"patch": _text_of(arguments)}
