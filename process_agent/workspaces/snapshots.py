"""Snapshots of a folder in a Git repository of our own, which the user's Git never sees.

The repository lies below the agent's data folder, where no command can reach it. Files are kept byte for
byte: no attribute, filter or line-ending setting applies. What `.gitignore` names is left out.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from process_agent.errors import WorkspaceError
from process_agent.workspaces.changes import Change, Entry
from process_agent.workspaces.git import Git, lines_of
from process_agent.workspaces.stillness import Sight, look

MAX_FILE: Final = 16 << 20
"""Bytes of a file that is kept; a larger one is only watched."""

MAX_FILES: Final = 50_000
MAX_TOTAL: Final = 512 << 20
"""Files and bytes that one snapshot may take in; a folder with more has no snapshots."""

TIDY_SECONDS: Final = 600.0
"""How long packing may take; nobody waits for it."""

_EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_GITLINK: Final = 0o160000

_SETTINGS: Final = {
    "core.bare": "false",
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.fileMode": "true",
    "core.symlinks": "true",
    "core.looseCompression": "1",
    "gc.auto": "0",
    "index.threads": "1",
}
_AS_IT_IS: Final = "* -text -eol -filter -ident -working-tree-encoding\n"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files at one moment. `touched` are the paths that changed since the snapshot before, with the time
    of the change in nanoseconds; `unkept` are files too large, or not to be read, with what tells them apart.
    """

    tree: str
    touched: Mapping[str, int] = field(default_factory=dict)
    unkept: Mapping[str, tuple[int, int]] = field(default_factory=dict)


class TooMuchError(WorkspaceError):
    """The folder is too large for snapshots."""


class Snapshots:
    """Snapshots of one folder. One call at a time; the caller sees to it.

    `home` is where the repository is; folders with much in common share one.
    """

    def __init__(self, folder: Path, home: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.modes: dict[str, int] = {}
        """Permissions of files that are not the usual ones."""
        self.nested: tuple[str, ...] = ()
        """Repositories inside the folder: they are not looked into."""
        self._home = home
        self._index = home / f"index-{sha256(os.fsencode(folder)).hexdigest()[:16]}"
        self._user = Git(folder, environment)
        self._git = self._user
        self._prefix = ""
        self._unkept: dict[str, tuple[int, int]] = {}
        self._written: tuple[int, int] | None = None
        self._tree = _EMPTY_TREE
        self._sight: Sight | None = None

    async def open(self) -> None:
        """Make or open the repository. Raises `WorkspaceError`."""
        top = await self._user.ask("rev-parse", "--show-toplevel", "--show-prefix")
        root, self._prefix = str(self.folder), ""
        if top.code == 0 and len(found := top.output.decode("utf-8", "surrogateescape").split("\n")) >= 2:
            root, self._prefix = found[0], found[1]
        git_dir = self._home / "repository"
        self._git = Git(
            self.folder,
            self._user.environment,
            _SETTINGS,
            {
                "GIT_DIR": str(git_dir),
                "GIT_WORK_TREE": root,
                "GIT_INDEX_FILE": str(self._index),
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_NO_REPLACE_OBJECTS": "1",
            },
        )
        if not (git_dir / "HEAD").is_file():
            git_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            plain = Git(git_dir, self._user.environment, {}, {"GIT_CONFIG_GLOBAL": os.devnull})
            await plain("init", "--quiet", "--bare", "--object-format=sha1", "--template=", str(git_dir))
        (git_dir / "info").mkdir(exist_ok=True)
        (git_dir / "info" / "attributes").write_text(_AS_IT_IS)
        self._index.with_suffix(".lock").unlink(missing_ok=True)  # of an agent that was killed
        await self._add_tracked_anyway(top.code == 0)

    async def _add_tracked_anyway(self, in_repository: bool) -> None:
        """Files the user's repository keeps although they match `.gitignore` are no ignored files."""
        if not in_repository:
            return
        listed = await self._user.ask("ls-files", "-z", "--cached", "--ignored", "--exclude-standard")
        if listed.code == 0:
            await self._take_in(lines_of(listed.output))

    async def take(self) -> Snapshot:
        """The files as they are now. Raises `WorkspaceError`."""
        sight = look(self.folder)  # before Git looks: what changes meanwhile is another sight the next time
        if sight is not None and sight == self._sight:
            return Snapshot(self._tree, {}, dict(self._unkept))
        self._sight = None
        listed = await self._git("ls-files", "-z", "--modified", "--others", "--exclude-standard")
        paths = lines_of(listed)
        self.nested = tuple(path for path in paths if path.endswith("/"))
        self._unkept.clear()
        touched = await self._take_in(path for path in dict.fromkeys(paths) if not path.endswith("/"))
        taken = Snapshot(await self._write_tree(), touched, dict(self._unkept))
        self._sight = sight
        return taken

    async def _take_in(self, paths: Iterable[str]) -> dict[str, int]:
        """Bring the index up to date for some paths. Returns when each of them changed."""
        touched: dict[str, int] = {}
        fresh: list[str] = []
        total = 0
        for path in paths:
            found = _found(self.folder / path)
            touched[path] = _changed_at(self.folder / path, found)
            if found is not None and _unkept(self.folder / path, found):
                self._unkept[path] = (found.st_size, found.st_mtime_ns)
                continue
            if found is not None:
                total += found.st_size
                self._note_mode(path, found.st_mode)
            fresh.append(path)
            if len(fresh) > MAX_FILES or total > MAX_TOTAL:
                raise TooMuchError(
                    f"the folder has more than {MAX_FILES:,} files, or {MAX_TOTAL >> 20} MiB, that no "
                    ".gitignore leaves out"
                )
        if fresh:
            given = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in fresh)
            await self._git("update-index", "-z", "--add", "--remove", "--replace", "--stdin", given=given)
        return touched

    def _note_mode(self, path: str, mode: int) -> None:
        if not stat.S_ISREG(mode):
            return
        if stat.S_IMODE(mode) in (0o644, 0o755, 0o664, 0o775):
            self.modes.pop(path, None)
        else:
            self.modes[path] = stat.S_IMODE(mode)

    async def _write_tree(self) -> str:
        try:
            found = self._index.stat()
        except FileNotFoundError:
            return _EMPTY_TREE
        signature = (found.st_mtime_ns, found.st_ino)
        if signature != self._written:
            self._tree = (await self._git("write-tree")).decode().strip()
            self._written = signature
            self._hold(self._tree)
        return self._tree

    def _hold(self, tree: str) -> None:
        """Packing, which another folder of this home may begin, leaves what a ref names."""
        ref = self._home / "repository" / "refs" / "kept" / self._index.name
        ref.parent.mkdir(parents=True, exist_ok=True)
        beside = ref.with_name(f"{ref.name}.lock")
        beside.write_text(f"{tree}\n")
        beside.replace(ref)

    # --- Reading ---------------------------------------------------------------------------------

    async def changes(self, before: str, after: str) -> list[Change]:
        """The paths that differ between two trees."""
        if before == after:
            return []
        said = await self._git("diff-tree", "-r", "-z", "--no-renames", *self._only(before, after))
        fields = lines_of(said)
        found = [_change(meta, path) for meta, path in zip(fields[::2], fields[1::2], strict=True)]
        return [change for change in found if change is not None]

    async def diff(self, before: str, after: str) -> str:
        """The same as a unified diff, renames recognised, binary files named only."""
        if before == after:
            return ""
        said = await self._git(
            "diff-tree", "-r", "-p", "-M", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv",
            "--src-prefix=a/", "--dst-prefix=b/", *self._only(before, after),
        )  # fmt: skip
        return said.decode("utf-8", "replace")

    def _only(self, before: str, after: str) -> tuple[str, ...]:
        """Trees span the repository that the folder is in; what is asked for is the folder."""
        return (f"--relative={self._prefix}", before, after) if self._prefix else (before, after)

    async def tree_of(self, entries: Mapping[str, Entry]) -> str:
        """A tree of these files, for a diff."""
        if not entries:
            return _EMPTY_TREE
        scratch = {"GIT_INDEX_FILE": f"{self._index}-scratch"}
        given = b"".join(
            f"{entry.mode:o} {entry.blob}\t{self._prefix}{path}\0".encode("utf-8", "surrogateescape")
            for path, entry in entries.items()
        )
        await self._git("read-tree", "--empty", variables=scratch)
        await self._git("update-index", "-z", "--index-info", given=given, variables=scratch)
        return (await self._git("write-tree", variables=scratch)).decode().strip()

    async def blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """Content by its hash. Raises `WorkspaceError` when some is missing."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
        answer = await self._git("cat-file", "--batch", given="".join(f"{n}\n" for n in wanted).encode())
        found, position = {}, 0
        for name in wanted:
            end = answer.index(b"\n", position)
            head = answer[position:end].split()
            if len(head) != 3:
                raise WorkspaceError("what the files held is not kept any more")
            size = int(head[2])
            found[name] = answer[end + 1 : end + 1 + size]
            position = end + 1 + size + 1
        return found

    async def keep(self, names: Mapping[str, tuple[str, str]], forget: Iterable[str] = ()) -> None:
        """Hold on to pairs of trees under a name each, and let go of others."""
        held = [
            f"update refs/kept/{name}/{number} {tree}\n"
            for name, pair in names.items()
            for number, tree in enumerate(pair)
        ]
        dropped = [f"delete refs/kept/{name}/{number}\n" for name in forget for number in (0, 1)]
        for orders in (held, dropped):
            if orders:
                await self._git("update-ref", "--stdin", given="".join(orders).encode())

    async def tidy(self) -> None:
        """Pack what is kept and drop what is not, once there is much of it."""
        settings = ("gc.auto=60000", "gc.pruneExpire=1.hour.ago", "gc.autoDetach=false", "pack.threads=1")
        patient = replace(self._git, seconds=TIDY_SECONDS)
        await patient(*(word for text in settings for word in ("-c", text)), "gc", "--auto", "--quiet")

    async def uncommitted(self) -> tuple[str, list[str]]:
        """What differs from the last commit of the user's repository, and the files it does not know.

        Raises `WorkspaceError` where there is no repository or no commit.
        """
        head = await self._user.ask("rev-parse", "--verify", "--quiet", "HEAD")
        if head.code != 0:
            raise WorkspaceError("The folder is in no Git repository, or nothing was committed there yet.")
        plain = ("--no-color", "--no-ext-diff", "--no-textconv", "--relative")
        said = await self._user("rev-parse", "--path-format=absolute", "--git-path", "index")
        index = Path(said.decode().rstrip("\n"))
        copy = Path(f"{self._index}-of-user")  # git writes to the one it compares with
        _copy_index(index, copy)
        own = {"GIT_INDEX_FILE": str(copy)}
        said = await self._user("diff", *plain, "HEAD", "--", variables=own)
        new = await self._user("ls-files", "-z", "--others", "--exclude-standard", variables=own)
        return said.decode("utf-8", "replace"), lines_of(new)


def _copy_index(index: Path, copy: Path) -> None:
    """With its time, which tells Git the files that it cannot tell by theirs; nothing where there is none."""
    with contextlib.suppress(FileNotFoundError):
        changed = index.stat().st_mtime_ns
        shutil.copyfile(index, copy)
        os.utime(copy, ns=(changed, changed))


def _found(path: Path) -> os.stat_result | None:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if stat.S_ISDIR(found.st_mode) else found


def _unkept(path: Path, found: os.stat_result) -> bool:
    if not stat.S_ISREG(found.st_mode):
        return not stat.S_ISLNK(found.st_mode)
    return found.st_size > MAX_FILE or not os.access(path, os.R_OK)


def _changed_at(path: Path, found: os.stat_result | None) -> int:
    """When a path changed last; for one that is gone, when something last went from the folder it was in."""
    while found is None and path != path.parent:
        path = path.parent
        try:
            found = path.lstat()
        except OSError:
            found = None
    return 0 if found is None else found.st_ctime_ns


def _change(meta: str, path: str) -> Change | None:
    before_mode, after_mode, before, after, _ = meta.lstrip(":").split()
    pair = [
        None if int(mode, 8) in (0, _GITLINK) else Entry(int(mode, 8), blob)
        for mode, blob in ((before_mode, before), (after_mode, after))
    ]
    return None if pair[0] == pair[1] else Change(path, *pair)
