"""Threads out of a room, line by line, and into one."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from process_agent.core.ids import Clock, IdSource, ThreadId
from process_agent.core.images import id_of
from process_agent.core.room import Datasets, TableRef
from process_agent.core.room_ports import RoomFiles, RoomImage
from process_agent.core.store import ThreadEntry
from process_agent.errors import RoomRequestError
from process_agent.threads.copying import MAX_IMAGE
from process_agent.threads.images import ImageTable
from process_agent.threads.index import ThreadIndex
from process_agent.threads.kept.carried import Bringing, Limits, files_at, with_addresses
from process_agent.threads.kept.files import remove
from process_agent.threads.kept.lines import FileLine, ImageLine, Line, ThreadLine
from process_agent.threads.kept.rows import StoredRow, all_rows, batches, stored_rows, to_table
from process_agent.threads.owners import ThreadOwners
from process_agent.threads.paths import NOT_FOUND, can_name, directory_at, table_of
from process_agent.threads.schema import OWNERS_TABLE, THREAD
from process_agent.threads.table import IMAGES, ThreadTable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Media:
    """Where images and files of a thread are; without `files` these are left out. `limits` tells of those
    that are left out since they are too large or gone.
    """

    images: ImageTable
    files: RoomFiles | None = None
    limits: Limits = field(default_factory=Limits)


async def exported(
    datasets: Datasets, ref: TableRef, entry: ThreadEntry, owner: str | None, media: Media
) -> AsyncIterator[Line]:
    """A thread: its beginning, the images that were made in it and the files that belong to it, its rows in
    table order. What backends keep for themselves is left out: it names sessions of theirs on one machine.
    Raises `RoomError`.
    """
    images = media.images
    yield ThreadLine(entry, owner)
    for address in dict.fromkeys(await ThreadTable(datasets, ref, entry.path).images()):
        image_id = id_of(address)
        if image_id is None:
            continue
        try:
            image = await images.read(address, MAX_IMAGE)
        except RoomRequestError as error:
            logger.warning("an image of %s is not in the export: %s", entry.path, error)
        else:
            yield ImageLine(image_id, image.mime_type, image.data)
    if media.files is not None:
        paths = sorted(await ThreadTable(datasets, ref, entry.path).files())
        async for file in files_at(media.files, paths, media.limits):
            yield file
    async for batch in all_rows(datasets, ref):
        for row in stored_rows(batch):
            if not row.is_state:
                yield row


@dataclass(frozen=True, slots=True)
class Imported:
    """A thread that came in: its entry here, the path it had in the file, and how many rows it has."""

    entry: ThreadEntry
    came_from: str
    rows: int


class Importing:
    """Brings threads into one folder of the room, each under its own id where that is free, else under a new
    one. Nothing that is there is changed. Methods raise `RoomError`.
    """

    def __init__(
        self,
        datasets: Datasets,
        namespace: tuple[str, ...],
        media: Media,
        *,
        clock: Clock,
        new_id: IdSource,
    ) -> None:
        self._datasets = datasets
        self._files = media.files
        self._namespace = namespace
        self._index = ThreadIndex(datasets, namespace, clock)
        self._images = media.images
        self._owners = ThreadOwners(datasets, namespace, clock)
        self._new_id = new_id

    async def take(self, lines: Iterable[Line]) -> AsyncIterator[Imported]:
        """Import the lines of one file, thread by thread; one that fails leaves nothing."""
        await self._index.ensure()
        for begin, rest in _threads(lines):
            yield await self._thread(begin, rest)

    async def _thread(self, begin: ThreadLine, rest: Iterator[Row]) -> Imported:
        path = await self._free_path(begin.entry.path)
        ref = table_of(path, self._namespace)
        await self._datasets.create(ref, THREAD, "create")
        brought = _Brought({}, None if self._files is None else Bringing(self._files, self._new_id))
        try:
            rows = await self._fill(ref, path, begin.entry.path, rest, brought)
            entry = replace(begin.entry, path=path)
            if begin.owner is not None and await self._keeps_owners():
                await self._owners.put(path, begin.owner)  # before it is listed: nobody else can claim it
            await self._index.put(entry)
        except BaseException:
            await self._datasets.drop(ref)
            await self._images.remove(list(brought.images.values()))
            if self._files is not None and brought.files is not None:
                async for _ in remove(self._files, brought.files.written):
                    pass
            raise
        return Imported(entry, begin.entry.path, rows)

    async def _free_path(self, wanted: ThreadId) -> ThreadId:
        name = wanted.rsplit("/", 1)[-1]
        if not can_name((name,)) or name.endswith(".thread") or not await self._free(name):
            name = self._new_id()
        return ThreadId(f"{directory_at(self._namespace)}/{name}")

    async def _free(self, name: str) -> bool:
        path = ThreadId(f"{directory_at(self._namespace)}/{name}")
        if await self._index.get(path) is not None:
            return False
        try:
            await self._datasets.schema(table_of(path, self._namespace))
        except RoomRequestError as error:
            if error.code != NOT_FOUND:
                raise
            return True
        return False

    async def _keeps_owners(self) -> bool:
        return OWNERS_TABLE in await self._datasets.list_tables(self._namespace)

    async def _fill(
        self, ref: TableRef, path: ThreadId, before: str, rest: Iterator[Row], brought: _Brought
    ) -> int:
        """Store images, files and rows; `brought` tells where the first two are."""
        count = 0

        def here() -> Iterator[StoredRow]:
            for line in rest:
                if isinstance(line, StoredRow) and not line.is_state:
                    yield _here(line, path, before, brought)

        for line in rest:
            if isinstance(line, StoredRow):  # images and files come before rows
                rest = chain([line], rest)
                break
            if isinstance(line, ImageLine):
                image = RoomImage(line.data, line.mime_type)
                brought.images[line.id] = await self._images.put_back(line.id, image, path)
            elif brought.files is not None:
                await brought.files.bring(line)
        for batch in batches(here()):
            await self._datasets.insert(ref, to_table(batch))
            count += len(batch)
        return count


type Row = StoredRow | ImageLine | FileLine


@dataclass(frozen=True, slots=True)
class _Brought:
    """The addresses of images, by the ids they had, and the files of one thread."""

    images: dict[str, str]
    files: Bringing | None


def _threads(lines: Iterable[Line]) -> Iterator[tuple[ThreadLine, Iterator[Row]]]:
    """The threads of a file, each with what comes before the next one; that has to be read first."""
    source = iter(lines)
    line = next(source, None)
    while isinstance(line, ThreadLine):
        ahead: list[Line] = []

        def rest(ahead: list[Line] = ahead) -> Iterator[Row]:
            for each in source:
                if isinstance(each, ThreadLine):
                    ahead.append(each)
                    return
                yield each

        own = rest()
        yield line, own
        for _ in own:  # whoever did not want them
            pass
        line = ahead[0] if ahead else None


def _here(row: StoredRow, path: ThreadId, before: str, brought: _Brought) -> StoredRow:
    """The row as that of the thread `path`, with the images and files that it has here; the same row if it is
    so already.
    """
    try:
        data = json.loads(row.data)
    except ValueError:
        return row
    if not isinstance(data, dict):
        return row
    said = dict(data)
    if path != before:
        said["thread_id"] = path
    if row.type == IMAGES:
        said = _with_images(said, brought.images)
    if brought.files is not None and brought.files.moved:
        said = with_addresses(said, brought.files.moved)
    return row if said == data else replace(row, data=json.dumps(said, separators=(",", ":")))


def _with_images(said: dict[str, object], images: Mapping[str, str]) -> dict[str, object]:
    listed = said.get("images")
    if not isinstance(listed, list):
        return said
    found = [
        {**image, "uri": images.get(id_of(str(image.get("uri"))) or "", image.get("uri"))}
        if isinstance(image, dict)
        else image
        for image in listed
    ]
    return {**said, "images": found}
