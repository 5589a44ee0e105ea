"""Names and schemas of tools, whoever describes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.tool_schemas import ANY_OBJECT, MAX_SCHEMA, fit_schema
from process_agent.core.tools import MAX_NAME, model_name

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "required", "items", "anyOf", "$ref", "enum", "a"]), inner
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("math", "math"),
        ("my tools/v2", "my_tools_v2"),
        ("", "tools"),
        ("…", "tools"),
        ("web", "room_web"),
        ("Codex", "room_Codex"),
        ("mcp__server", "room_mcp__server"),
        ("x" * 100, "x" * MAX_NAME),
    ],
)
def test_a_toolkit_gets_a_name_that_every_provider_takes(wanted: str, name: str) -> None:
    assert model_name(wanted, toolkit=True) == name


@given(st.lists(st.text(max_size=80), max_size=8))
def test_names_never_collide(wanted: list[str]) -> None:
    taken: set[str] = set()
    for each in wanted:
        name = model_name(each, taken)
        assert name not in taken
        assert 1 <= len(name) <= MAX_NAME
        assert name.replace("-", "a").replace("_", "a").isascii()
        taken.add(name)


def test_a_sound_schema_stays_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"], "description": "x"}, "b": {"$ref": "#/$defs/q"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert fit_schema(schema) == schema
    assert fit_schema(schema, {"q": {"type": "integer"}})["$defs"] == {"q": {"type": "integer"}}


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {"type": "string"},
        {"type": "object", "properties": 5},
        {"type": "object", "required": "a"},
        {"type": "object", "properties": {"a": {"type": "foo"}}},
        {"type": "object", "properties": {"a": {"properties": []}}},
        {"type": "object", "description": "x" * MAX_SCHEMA},
        {"type": "object", "minimum": float("nan")},
    ],
)
def test_what_a_provider_would_refuse_takes_any_object(schema: object) -> None:
    assert fit_schema(schema) == ANY_OBJECT


@given(JSON)
def test_any_schema_becomes_one_for_an_object(schema: object) -> None:
    found = fit_schema(schema)
    assert found["type"] == "object"
    assert isinstance(found["properties"], dict)


def test_a_schema_within_itself_is_not_followed() -> None:
    schema: dict[str, object] = {"type": "object"}
    schema["properties"] = {"again": schema}
    assert fit_schema(schema) == ANY_OBJECT
