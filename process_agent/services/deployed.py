"""What a deploy leaves in a hosted service so that the next one knows: the document as it was made of the
flags, and the one that was there before. Kept in two annotations, compressed; whoever deploys next may be
another machine.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Final, cast

from process_agent.core.content import Json

LAST: Final = "process.deploy.last"
PREVIOUS: Final = "process.deploy.previous"

MAX_LENGTH: Final = 64 * 1024
"""Characters of one annotation; a longer one is left out, and said to be."""

MAX_JSON: Final = 4 * 1024 * 1024


def bare(document: Mapping[str, Json]) -> dict[str, Json]:
    """A document without its id and without these annotations."""
    found = {key: value for key, value in document.items() if key != "id"}
    metadata = found.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("annotations"), dict):
        notes = cast(dict[str, Json], metadata["annotations"])
        left = {key: value for key, value in notes.items() if key not in (LAST, PREVIOUS)}
        found["metadata"] = {**metadata, "annotations": left}
    return found


def remembered(document: Mapping[str, Json], key: str) -> dict[str, Json] | None:
    """The document in one of the annotations; None when there is none, or somebody damaged it."""
    metadata = document.get("metadata")
    notes = metadata.get("annotations") if isinstance(metadata, dict) else None
    text = notes.get(key) if isinstance(notes, dict) else None
    if not isinstance(text, str):
        return None
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(text, validate=True), MAX_JSON)
        value = json.loads(data)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def remembering(
    document: Mapping[str, Json], last: Mapping[str, Json], previous: Mapping[str, Json] | None
) -> tuple[dict[str, Json], bool]:
    """The document with what the next deploy has to know; and whether all of it found place."""
    metadata = cast(dict[str, Json], document["metadata"])
    notes = dict(cast(dict[str, Json], metadata.get("annotations") or {}))
    whole = True
    for key, value in ((LAST, last), (PREVIOUS, previous)):
        packed = None if value is None else _packed(value)
        if packed is not None and len(packed) <= MAX_LENGTH:
            notes[key] = packed
        whole = whole and (packed is None or len(packed) <= MAX_LENGTH)
    return {**document, "metadata": {**metadata, "annotations": notes}}, whole


def _packed(value: Mapping[str, Json]) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()
