"""Imports libraries of many pydantic models without the cost of models that nobody uses.

The published room client declares 400 of them, and pydantic builds the validators of each where it is
declared: with what the garbage collector looks through meanwhile, a third of the time of every command that
enters a room.
"""

from __future__ import annotations

import gc
from importlib import import_module
from threading import Lock
from types import ModuleType

_one_at_a_time = Lock()


def load(name: str) -> ModuleType:
    """Import a module. Its models are built when they are first used, and nothing is collected before it is
    there; models that others declare meanwhile, in another thread, are built later too.
    """
    from pydantic import BaseModel

    with _one_at_a_time:
        collects = gc.isenabled()
        gc.disable()
        BaseModel.model_config["defer_build"] = True
        try:
            return import_module(name)
        finally:
            del BaseModel.model_config["defer_build"]
            if collects:
                gc.enable()
