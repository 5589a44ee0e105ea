"""Libraries of many models are imported without building them."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from pydantic import BaseModel
from process_agent.io.loading import load

before = dict(BaseModel.model_config)
spec = load("meshagent.api.specs.service").ServiceSpec
assert load("meshagent.api.specs.service").ServiceSpec is spec
assert (BaseModel.model_config, gc.isenabled()) == (before, True)

class Later(BaseModel):
    number: int

print(spec.__pydantic_complete__, Later.__pydantic_complete__)
made = spec.model_validate({"version": "v1", "kind": "Service", "metadata": {"name": "bot"}})
print(made.metadata.name, spec.__pydantic_complete__)

gc.disable()
try:
    load("no.such.module")
except ModuleNotFoundError:
    print(BaseModel.model_config == before, gc.isenabled())
"""


def test_models_are_built_when_they_are_used_and_those_of_others_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["False True", "bot True", "True False"]
