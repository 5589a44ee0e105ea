"""What waits to be stored, of all threads of a store: a bound for all, and the largest gives up."""

from __future__ import annotations

from functools import partial

from process_agent.threads.budget import Budget, Share


def _shares(budget: Budget, number: int) -> tuple[list[Share], list[int]]:
    gave_up: list[int] = []
    return [budget.share(partial(gave_up.append, at)) for at in range(number)], gave_up


def test_nobody_gives_up_while_all_fits() -> None:
    budget = Budget(100)
    (first, second), gave_up = _shares(budget, 2)
    first.take(60)
    second.take(40)
    first.give_back(60)
    second.take(60)
    assert (gave_up, budget.total, first.size, second.size) == ([], 100, 0, 100)


def test_who_holds_most_gives_up_for_one_that_holds_little() -> None:
    budget = Budget(100)
    (large, small, least), gave_up = _shares(budget, 3)
    large.take(60)
    small.take(40)
    least.take(1)
    assert gave_up == [0]
    assert (budget.total, large.size, small.size, least.size) == (41, 0, 40, 1)


def test_one_that_adds_more_than_all_others_hold_gives_up_itself() -> None:
    budget = Budget(100)
    (small, large), gave_up = _shares(budget, 2)
    small.take(10)
    large.take(1_000)
    assert (gave_up, budget.total) == ([1], 10)


def test_two_hundred_threads_are_one_bound() -> None:
    budget = Budget(1_000)
    shares, gave_up = _shares(budget, 200)
    for _ in range(20):
        for share in shares:
            if shares.index(share) not in gave_up:
                share.take(7)
            assert budget.total == sum(each.size for each in shares) <= 1_000
    assert 0 < len(gave_up) == len(set(gave_up)) < 200


def test_what_is_left_is_free_for_others() -> None:
    budget = Budget(100)
    (first, second), gave_up = _shares(budget, 2)
    first.take(90)
    first.leave()
    first.leave()
    second.take(100)
    assert (gave_up, budget.total) == ([], 100)
