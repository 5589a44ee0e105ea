"""Documents as MeshAgent's own model has them: with what it fills in, so that ours and theirs compare."""

from __future__ import annotations

from collections.abc import Mapping

from process_agent.core.content import Json
from process_agent.errors import UsageError
from process_agent.io.loading import load
from process_agent.services.merging import without_nulls


def as_the_model_has_it(document: Mapping[str, Json]) -> dict[str, Json]:
    """A document of ours, with the model's defaults and without nulls. Raises `UsageError` with what it
    does not take.
    """
    from pydantic import ValidationError

    try:
        return without_nulls(_with_defaults(document))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"MeshAgent's model does not take this document: {place}: {first['msg']}.") from None


def as_it_is(document: Mapping[str, Json]) -> dict[str, Json]:
    """A document that is there: with the model's defaults if the model knows all of it. A newer MeshAgent may
    have fields that it does not know; they stay as they are.
    """
    from pydantic import ValidationError

    try:
        return without_nulls(_with_defaults(document))
    except ValidationError:
        return without_nulls(document)


def _with_defaults(document: Mapping[str, Json]) -> dict[str, Json]:
    model = load("meshagent.api.specs.service").ServiceSpec
    found: dict[str, Json] = model.model_validate(dict(document)).model_dump(mode="json")
    return found
