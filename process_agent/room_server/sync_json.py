"""Synchronised documents as JSON and back, by their schema. No I/O.

A document is a tree of elements below the root fragment `xml`. As JSON an element is `{tag: {attributes…}}`,
and the one attribute its schema declares as an array holds its children. Elements carry an id in `$id`,
which the JSON form leaves out.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from process_agent.room_server.toolkit import ToolError

ROOT: Final = "xml"
MAX_DEPTH: Final = 64
"""Nested elements."""

_ID: Final = "$id"
_TEXT: Final = "text"


def root_of(document: Doc[Any]) -> XmlFragment:
    """The root fragment of a document."""
    root: XmlFragment = document.get(ROOT, type=XmlFragment)
    return root


def to_json(document: Doc[Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The document as JSON below its root tag."""
    tag = root_tag(schema)
    return _element_json(tag, {}, root_of(document), schema, 0)


def fill(document: Doc[Any], schema: Mapping[str, Any], json: Mapping[str, Any]) -> None:
    """Put JSON into an empty document. Raises `ToolError` when it does not follow the schema."""
    tag = root_tag(schema)
    content = json.get(tag)
    if not isinstance(content, Mapping) or len(json) != 1:
        raise ToolError(f"the document must be an object with the one key {tag!r}")
    with document.transaction():
        for child in _children_of(tag, content, schema):
            _append(root_of(document), child, schema, 0)


def root_tag(schema: Mapping[str, Any]) -> str:
    """The tag of the root element. Raises `ToolError` for what is no document schema."""
    reference, definitions = schema.get("$root_tag_ref"), schema.get("$defs")
    if not isinstance(reference, str) or not isinstance(definitions, Mapping):
        raise ToolError("not a document schema: $root_tag_ref and $defs are missing")
    tag = reference.removeprefix("#/$defs/")
    if tag not in definitions:
        raise ToolError(f"the document schema does not define its root element {tag!r}")
    return tag


def _append(parent: XmlFragment | XmlElement, json: object, schema: Mapping[str, Any], depth: int) -> None:
    if not isinstance(json, Mapping) or len(json) != 1 or depth > MAX_DEPTH:
        raise ToolError("an element is an object with one key, its tag, and nests at most 64 levels")
    ((tag, content),) = json.items()
    if not isinstance(content, Mapping):
        raise ToolError(f"element {tag!r} must be an object")
    child_property = _child_property(tag, schema)
    element = XmlElement(tag, {_ID: str(content.get(_ID) or uuid.uuid4())})
    parent.children.append(element)
    for name, value in content.items():
        if name not in (child_property, _ID):
            element.attributes[name] = value
    if tag == _TEXT:
        element.children.append(XmlText())
    for child in _children_of(tag, content, schema):
        _append(element, child, schema, depth + 1)


def _children_of(tag: str, content: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Any]:
    name = _child_property(tag, schema)
    children = content.get(name, []) if name is not None else []
    if not isinstance(children, list):
        raise ToolError(f"{name!r} of element {tag!r} must be a list")
    return children


def _child_property(tag: str, schema: Mapping[str, Any]) -> str | None:
    definition = schema["$defs"].get(tag)
    if not isinstance(definition, Mapping):
        raise ToolError(f"the document schema does not define element {tag!r}")
    properties = definition.get("properties", {}).get(tag, {}).get("properties", {})
    for name, declared in properties.items():
        if isinstance(declared, Mapping) and declared.get("type") == "array":
            return str(name)
    return None


def _element_json(
    tag: str,
    attributes: Mapping[str, Any],
    node: XmlFragment | XmlElement,
    schema: Mapping[str, Any],
    depth: int,
) -> dict[str, Any]:
    content: dict[str, Any] = {name: value for name, value in attributes.items() if name != _ID}
    name = _child_property(tag, schema)
    if name is not None:
        content[name] = list(_nodes_json(node, schema, depth))
    return {tag: content}


def _attributes(element: XmlElement) -> Iterator[tuple[str, Any]]:
    # pycrdt types the iterator of its view as an iterable.
    return iter(cast("Iterator[tuple[str, Any]]", element.attributes))


def _nodes_json(
    node: XmlFragment | XmlElement, schema: Mapping[str, Any], depth: int
) -> Iterator[dict[str, Any]]:
    if depth > MAX_DEPTH:
        raise ToolError(f"the document nests more than {MAX_DEPTH} levels")
    for child in node.children:
        if isinstance(child, XmlElement) and child.tag is not None:
            yield _element_json(child.tag, dict(_attributes(child)), child, schema, depth + 1)
        elif isinstance(child, XmlText):
            yield {"text": {"delta": [{"insert": str(child), "attributes": {}}]}}
