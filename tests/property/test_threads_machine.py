"""The thread store beside a simple model, over tables in memory; `tests/contract` does it over real rooms."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from hypothesis import settings

from tests.crash.virtual_time import VirtualLoop, end_loop
from tests.fakes.datasets import MemoryDatasets, PlacedDatasets
from tests.fakes.store_machine import StoreMachine
from tests.fakes.thread_events import TestClock


class MemoryMachine(StoreMachine):
    def connect(self) -> None:
        self.loop = VirtualLoop()
        self.datasets = MemoryDatasets()
        self.clock = TestClock()

    def run[T](self, does: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(does)

    def teardown(self) -> None:
        super().teardown()
        end_loop(self.loop)


class PlacedMachine(MemoryMachine):
    """A room whose tables are read by place, and that gives few rows at a time."""

    def connect(self) -> None:
        super().connect()
        self.datasets = PlacedDatasets(most=7)


PlacedMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestThreadStoreByPlace = PlacedMachine.TestCase

MemoryMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestThreadStore = MemoryMachine.TestCase
