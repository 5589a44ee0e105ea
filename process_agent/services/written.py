"""How a service document is written down."""

from __future__ import annotations

import json

from process_agent.core.content import Json
from process_agent.errors import UsageError

_TEXT = "tag:yaml.org,2002:str"
_ODD_LINE_ENDS = frozenset("\x85\u2028\u2029")


def as_yaml(document: dict[str, Json]) -> str:
    """YAML in which every text is what it was. Raises `UsageError` for texts that are no Unicode."""
    import yaml  # type: ignore[import-untyped]  # it has no types

    _check_unicode(document)

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]  # nor has its class
        """Escapes the line ends of Unicode, which other styles fold into blanks."""

    def write(dumper: Dumper, text: str) -> object:
        return dumper.represent_scalar(_TEXT, text, style='"' if _ODD_LINE_ENDS & set(text) else None)

    Dumper.add_representer(str, write)
    # Without a width long texts are folded, which is valid and hard to read.
    text: str = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text


def as_json(document: dict[str, Json]) -> str:
    """The same on one line of JSON. Raises what `as_yaml` raises."""
    _check_unicode(document)
    return json.dumps(document, ensure_ascii=False) + "\n"


def _check_unicode(document: dict[str, Json]) -> None:
    """Bytes of a command line that are no UTF-8 come as lone surrogates, which no document can hold."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UsageError("A flag or a file holds bytes that are no UTF-8.") from None
