"""Paths of threads: templates, and what they may name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.channels.paths import MAX_PART, MAX_PARTS, MAX_PATH, expand, thread_id_of
from process_agent.core.ids import ThreadId
from process_agent.errors import RoomRequestError, UsageError
from process_agent.threads.paths import table_of

FOLDER = "dataset://agents/bot/threads"
NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("template", "expanded"),
    [
        ("{YYYY}-{MM}-{DD}", "2026-02-03"),
        ("{HH}:{mm}:{SS}", "04:05:06"),
        ("{YEAR}{YR}{YY}{yyyy}{yy}{yr}", "2026262620262626"),
        ("{MONTH}{MON}{month}{Mon}", "02020202"),
        ("{DAY}{day}{dd}", "030303"),
        ("{HOUR}{hh}{MINUTE}{Min}{SECOND}{sec}{ss}", "04040505060606"),
        ("{Mm} {mM}", "{Mm} {mM}"),
        ("{name} {} {YYYY", "{name} {} {YYYY"),
        ("{{YYYY}}", "{2026}"),
        ("%Y %d", "%Y %d"),
    ],
)
def test_tokens_are_filled_in(template: str, expanded: str) -> None:
    assert expand(template, NOW) == expanded


def test_times_are_in_utc() -> None:
    east = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert expand("{YYYY}-{MM}-{DD} {HH}", east) == "2025-12-31 23"


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("daily", "daily"),
        ("  reports/{YYYY}/{MM}  ", "reports/2026/02"),
        ("/daily/", "daily"),
        (".threads/bot/Some Chat.thread", "threads/bot/Some-Chat"),
        ("time {HH}:{mm}", "time-04-05"),
        ("{unknown}", "-unknown-"),
        ("Grüße", "Gr-e"),
        ("a..b", "a..b"),
    ],
)
def test_names_are_below_the_folder(path: str, below: str) -> None:
    assert thread_id_of(path, FOLDER, NOW) == f"{FOLDER}/{below}"


def test_an_id_is_taken_as_it_is() -> None:
    assert thread_id_of("dataset://other/{YYYY} x", FOLDER, NOW) == "dataset://other/2026 x"


@pytest.mark.parametrize(
    "path",
    [
        "",
        " ",
        "/",
        "..",
        "../x",
        "a/../b",
        "a/./b",
        "a//b",
        ".thread",
        "...",
        "tmp://agents/bot/threads/x",
        "room:///file",
        "a" * (MAX_PATH + 1),
        "a" * (MAX_PART + 1),
        "/".join("a" * (MAX_PARTS + 1)),
    ],
)
def test_what_can_name_no_thread_is_refused(path: str) -> None:
    with pytest.raises(UsageError):
        thread_id_of(path, FOLDER, NOW)


@given(st.text(alphabet=st.sampled_from("ab./{}Y-_ :é\\"), max_size=30))
def test_a_path_never_leaves_the_folder(path: str) -> None:
    try:
        found = thread_id_of(path, FOLDER, NOW)
    except UsageError:
        return
    if not path.strip().startswith("dataset://"):
        assert found.startswith(FOLDER + "/")
        assert ".." not in found.split("/")


def test_the_store_takes_what_comes_out() -> None:
    for path in ("daily", "reports/2026", "Some Chat.thread", "-"):
        table_of(ThreadId(thread_id_of(path, FOLDER, NOW)), ("agents", "bot", "threads"))


@pytest.mark.parametrize(
    "thread_id",
    [
        f"{FOLDER}/index",
        f"{FOLDER}/index/x",
        f"{FOLDER}/emails",
        f"dataset://{FOLDER}/emails",
        f"{FOLDER}/emails_open",
        f"{FOLDER}/a/emails",
        f"{FOLDER}/a/index",
        f"{FOLDER}/../other",
        f"{FOLDER}/.hidden/x",
        f"{FOLDER}//x",
        f"{FOLDER}/a/",
        FOLDER,
        "dataset://agents/bot",
        "dataset://agents/other/threads/x",
        "dataset://agents/bot/threadsx/x",
        "dataset:///agents/bot/threads/x",
        f"dataset://dataset://{FOLDER}/x",
        "x",
        f"{FOLDER}/" + "a/" * 9 + "x",
    ],
)
def test_the_store_takes_nothing_else(thread_id: str) -> None:
    with pytest.raises(RoomRequestError):
        table_of(ThreadId(thread_id), ("agents", "bot", "threads"))
