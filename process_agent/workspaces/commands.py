"""`/diff`, `/undo` and `/redo` of one thread in its folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from process_agent.core.ids import ThreadId
from process_agent.core.workspace import FileAnswer, FileCommand
from process_agent.errors import WorkspaceError
from process_agent.workspaces import answers
from process_agent.workspaces.changes import Change, merged, still_to_do
from process_agent.workspaces.files import Folder
from process_agent.workspaces.records import TurnRecord
from process_agent.workspaces.tracked import TrackedFolder


class FileCommands:
    """Carries out commands. Raises `WorkspaceError` where the port does."""

    def __init__(self, thread_id: ThreadId, tracked: TrackedFolder) -> None:
        self._thread_id = thread_id
        self._tracked = tracked
        self._snapshots = tracked.snapshots

    async def carry_out(self, command: FileCommand) -> FileAnswer:
        """See the port."""
        await self._tracked.settled()
        match command:
            case FileCommand.DIFF_UNCOMMITTED:
                return await self._uncommitted()
            case _ if self._tracked.problem is not None:
                return self._without_snapshots(command, self._tracked.problem)
            case FileCommand.DIFF:
                return await self._diff()
            case FileCommand.DIFF_THREAD:
                return await self._diff_thread()
            case FileCommand.UNDO | FileCommand.REDO:
                return await self._tracked.whole(self._put_back(command), command.value)

    # --- Looking ---------------------------------------------------------------------------------

    async def _diff(self) -> FileAnswer:
        running = next((w for w in self._tracked.running.values() if w.thread_id == self._thread_id), None)
        if running is not None:
            before, now = await running.before, await self._tracked.take()
            if before is None or now is None:
                raise WorkspaceError("The files could not be compared; the agent's log says why.")
            return await self._between("The running turn so far", before.tree, now.tree, self._coverage())
        records = [r for r in self._tracked.records.of(self._thread_id) if not r.undone]
        if not records:
            return FileAnswer("\n\n".join([answers.NOTHING, *self._coverage()]))
        record = records[-1]
        unsure = [f"Not certain: {answers.named(path)}, {why}." for path, why in record.unsure.items()]
        who = "The last turn that changed files"
        return await self._between(who, record.before, record.after, [*unsure, *self._coverage()])

    async def _between(self, who: str, before: str, after: str, notes: Sequence[str]) -> FileAnswer:
        async with self._tracked.scanning():
            changes = await self._snapshots.changes(before, after)
            diff = await self._snapshots.diff(before, after)
        if not changes:
            return FileAnswer("\n\n".join([f"{who}: no file changed.", *notes]))
        return FileAnswer(answers.diff_text(who, changes, diff, notes), answers.shown(diff).diff)

    async def _diff_thread(self) -> FileAnswer:
        records = [r for r in self._tracked.records.of(self._thread_id) if not r.undone]
        changes = merged([record.changes for record in records])
        if not changes:
            return FileAnswer("\n\n".join([answers.NOTHING, *self._coverage()]))
        async with self._tracked.scanning():
            before = await self._snapshots.tree_of({c.path: c.before for c in changes if c.before})
            after = await self._snapshots.tree_of({c.path: c.after for c in changes if c.after})
            diff = await self._snapshots.diff(before, after)
        turns = "1 turn" if len(records) == 1 else f"{len(records):,} turns"
        who = f"This thread ({turns} with changes)"
        return FileAnswer(answers.diff_text(who, changes, diff, self._coverage()), answers.shown(diff).diff)

    async def _uncommitted(self) -> FileAnswer:
        diff, new = await self._snapshots.uncommitted()
        if not diff and not new:
            return FileAnswer("Nothing differs from the last commit.")
        lines = [f"Since the last commit: {answers.lines_text(diff)} in files Git knows."]
        if new:
            lines.append(f"Not known to Git ({len(new):,}): {answers.several(new)}")
        shown = answers.shown(diff)
        if shown.left_out:
            lines.append(f"The diff is too long to be shown: {answers.files(shown.left_out)} left out.")
        return FileAnswer("\n\n".join(lines), shown.diff or None)

    def _coverage(self) -> list[str]:
        """What is not looked at."""
        nested = self._snapshots.nested
        if not nested:
            return []
        return [f"Repositories inside the folder are not looked into: {answers.several(nested, 5)}"]

    def _without_snapshots(self, command: FileCommand, problem: str) -> FileAnswer:
        diff = self._tracked.patches.get(self._thread_id)
        if command.writes or diff is None:
            raise WorkspaceError(f"The files of turns are not kept here: {problem}.")
        shown = answers.shown(diff)
        text = (
            "What the last turn changed with patches. What its commands changed is not known, because the "
            f"files of turns are not kept here: {problem}."
        )
        return FileAnswer(text, shown.diff)

    # --- Putting back ----------------------------------------------------------------------------

    async def _put_back(self, command: FileCommand) -> FileAnswer:
        tracked = self._tracked
        async with tracked.writing:
            if tracked.running:
                return FileAnswer(answers.RUNNING_BESIDE)
            record = self._chosen(command)
            if isinstance(record, str):
                return FileAnswer(record)
            if command is FileCommand.UNDO and (reasons := self._not_certain(record)):
                return FileAnswer(answers.refused_text(command, reasons))
            wanted = [c.inverted for c in record.changes] if command is FileCommand.UNDO else record.changes
            async with tracked.scanning():
                refused = await self._make(wanted)
            if refused:
                return FileAnswer(answers.refused_text(command, refused))
            record.undone = tracked.records.next_undo() if command is FileCommand.UNDO else 0
            tracked.records.save(record)
        async with tracked.scanning():
            before, after = record.before, record.after
            pair = (after, before) if command is FileCommand.UNDO else (before, after)
            diff = answers.shown(await self._snapshots.diff(*pair)).diff
        other = (
            "`/redo` brings the changes back; another `/undo` takes back the turn before."
            if command is FileCommand.UNDO
            else "`/undo` takes them back again."
        )
        return FileAnswer(
            answers.done_text(command, wanted, other), diff or None, answers.note(command, wanted)
        )

    def _chosen(self, command: FileCommand) -> TurnRecord | str:
        """The turn that is meant, or why there is none."""
        records = self._tracked.records.of(self._thread_id)
        if command is FileCommand.REDO:
            undone = [record for record in records if record.undone]
            return max(undone, key=lambda r: r.undone) if undone else answers.NOTHING_AGAIN
        done = [record for record in records if not record.undone]
        if done:
            return done[-1]
        return answers.ALL_BACK if records else answers.NOTHING_BACK

    def _not_certain(self, record: TurnRecord) -> dict[str, str]:
        """Paths of which it is not certain that the turn changed them, or what they held."""
        reasons = dict(record.unsure)
        mine = {change.path for change in record.changes}
        for other in self._tracked.records.touching(record.beside):
            for change in other.changes:
                if change.path in mine:
                    reasons[change.path] = "a turn of another thread, at the same time, may have changed it"
        return reasons

    async def _make(self, wanted: Sequence[Change]) -> dict[str, str]:
        """Make these changes, or say per path why not."""
        folder = Folder(self._snapshots.folder, self._snapshots.modes)
        to_do, touched = await asyncio.to_thread(still_to_do, wanted, folder.state)
        if touched:
            return {c.path: "changed since" if c.before is not None else "there again since" for c in touched}
        entries = [entry for c in to_do for entry in (c.before, c.after) if entry is not None]
        blobs = await self._snapshots.blobs(entry.blob for entry in entries)
        going = frozenset(c.path for c in to_do if c.after is None)
        for change in to_do:
            obstacle = folder.obstacle(change, going)
            if obstacle is not None:
                return {change.path: f"{answers.named(obstacle)} is in its way"}
        await asyncio.to_thread(folder.make, to_do, blobs.__getitem__)
        return {}
