"""The thread store beside a simple model, over tables in memory; `tests/contract` does it over real rooms."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from hypothesis import settings

from tests.crash.virtual_time import VirtualLoop, end_loop
from tests.fakes.datasets import MemoryDatasets
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


MemoryMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestThreadStore = MemoryMachine.TestCase
