"""Schemas of tools that strangers describe, made fit for model providers. Pure.

A provider refuses a whole request, and Codex a whole thread, when a single schema is malformed; so one that
is not surely sound is replaced by one that takes any object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from process_agent.core.content import Json

MAX_SCHEMA = 16 * 1024
"""Characters of one schema."""

MAX_DEPTH = 20

ANY_OBJECT: Mapping[str, Json] = {"type": "object", "properties": {}, "additionalProperties": True}

_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
_SCHEMAS = ("additionalProperties", "items", "not", "contains", "propertyNames")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions", "patternProperties")


def fit_schema(schema: object, defs: object = None) -> Mapping[str, Json]:
    """The schema of a tool's arguments, with the definitions it may refer to, or one for any object."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return ANY_OBJECT
    whole = dict(schema)
    if isinstance(defs, dict) and defs and "$defs" not in whole:
        whole["$defs"] = defs
    if not _sound(whole, MAX_DEPTH):
        return ANY_OBJECT
    try:
        size = len(json.dumps(whole, allow_nan=False))
    except (TypeError, ValueError):
        return ANY_OBJECT
    return {**whole, "properties": whole.get("properties", {})} if size <= MAX_SCHEMA else ANY_OBJECT


def _sound(schema: object, depth: int) -> bool:
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, dict) or depth == 0:
        return False
    return _sound_words(schema) and all(_sound(part, depth - 1) for part in _parts(schema))


def _sound_words(schema: Mapping[str, object]) -> bool:
    """Whether the members that say something about this level have the right form."""
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    required = schema.get("required", [])
    return (
        all(isinstance(kind, str) and kind in _TYPES for kind in kinds)
        and isinstance(required, list)
        and all(isinstance(name, str) for name in required)
        and isinstance(schema.get("description", ""), str)
        and isinstance(schema.get("enum", []), list)
        and isinstance(schema.get("$ref", ""), str)
        and all(isinstance(schema.get(name, {}), dict) for name in _MAPS)
        and all(isinstance(schema.get(name, []), list) for name in _LISTS)
    )


def _parts(schema: Mapping[str, object]) -> list[object]:
    """The schemas inside."""
    found = [schema[name] for name in _SCHEMAS if name in schema]
    for name in _MAPS:
        inside = schema.get(name)
        found += inside.values() if isinstance(inside, dict) else ()
    for name in _LISTS:
        listed = schema.get(name)
        found += listed if isinstance(listed, list) else ()
    return found
