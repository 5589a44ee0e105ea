from __future__ import annotations

from process_agent.scripted.patches import add_file, delete_file, update_file


def test_adding_keeps_blank_lines_and_the_last_line_end() -> None:
    expected = "*** Begin Patch\n*** Add File: a/b.txt\n+one\n+\n+two\n*** End Patch\n"
    assert add_file("a/b.txt", "one\n\ntwo\n") == add_file("a/b.txt", "one\n\ntwo") == expected


def test_an_empty_file_is_written_anew() -> None:
    assert update_file("a", "", "x\n") == add_file("a", "x\n")


def test_deleting() -> None:
    assert delete_file("a") == "*** Begin Patch\n*** Delete File: a\n*** End Patch\n"


def test_far_apart_changes_become_hunks_of_their_own() -> None:
    old = "".join(f"{n}\n" for n in range(30))
    new = old.replace("3\n4\n5\n", "3\nfour\n5\n", 1).replace("28\n", "")
    assert update_file("n.txt", old, new) == (
        "*** Begin Patch\n*** Update File: n.txt\n"
        "@@\n 1\n 2\n 3\n-4\n+four\n 5\n 6\n 7\n"
        "@@\n 25\n 26\n 27\n-28\n 29\n*** End of File\n"
        "*** End Patch\n"
    )
