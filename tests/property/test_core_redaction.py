"""Covering secrets: nothing of them is left, everything else is to the letter, wherever the text was cut."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from process_agent.core.redaction import Covering, Redaction
from process_agent.core.redaction.keys import MAX_WORD
from process_agent.core.redaction.stages import MARK, MAX_LINE

VALUES = ("swordfish-swordfish", "aaaaaaaaaaaaaa", "with space and\nline end", 'quote"and\\slash.')
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,F2D4E6438DBD4EA8F2D4\n\n"
    + "MIIEpAIBAAKCAQEA" * 4 + "\n" + "c3dvcmRmaXNo+/==" * 4 + "\nabcd==\n-----END RSA PRIVATE KEY-----"
)  # fmt: skip
SECRETS = {
    "openai": "sk-proj-" + "Ab1_" * 12,
    "anthropic": "sk-ant-api03-" + "xY9-" * 20,
    "github": "ghp_" + "a1B2" * 9,
    "github fine": "github_pat_" + "A1b2" * 15,
    "aws id": "AKIAIOSFODNN7EXAMPLE",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib3QifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
    "meshagent": "ma-AbCdEfGhIjKlMnOpQrSt.w-AbCdEfGhIjKlMnOpQrSt.w-sEcReTsEcReTsEcReT",
}
ALL = Redaction(VALUES, keys=True, patterns=[re.compile(r"PIN \d{4}")])


def in_pieces(rules: Redaction, text: str, cuts: list[int]) -> str:
    covering = Covering(rules)
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    given = [covering.feed(text[start:end]) for start, end in pairwise(places)]
    return "".join(given) + covering.finish()


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("around", ["{}", "key: {}\n", '{{"key":"{}"}}', "a={} b", "export K='{}'", "{}\\n"])
def test_a_key_is_covered_and_nothing_else(kind: str, around: str) -> None:
    secret = SECRETS[kind]
    text = around.format(secret)
    covered = Redaction(keys=True).text(text)
    assert secret not in covered
    assert covered == text.replace(secret, MARK + "*" * (len(secret) - len(MARK)))


@pytest.mark.parametrize("sign", ["\n", "\\n", "\r\n"])
def test_a_private_key_is_covered_and_its_frame_is_not(sign: str) -> None:
    block = PEM.replace("\n", sign)
    covered = Redaction(keys=True).text(f"cat key\n{block}\nand more prose that follows, with longer words")
    assert "MIIE" not in covered
    assert "c3dv" not in covered
    assert "abcd==" not in covered
    assert covered.startswith("cat key\n-----BEGIN RSA PRIVATE KEY-----")
    assert covered.endswith("-----END RSA PRIVATE KEY-----\nand more prose that follows, with longer words")


def test_who_only_talks_of_keys_is_left_alone() -> None:
    text = "-----BEGIN PRIVATE KEY----- begins a block. sk-learn, gh_ and eyJ are no keys; AKIA neither. " * 3
    assert Redaction(keys=True).text(text) == text


def test_an_aws_secret_is_known_by_its_name() -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    for text in (
        f"aws_secret_access_key = {secret}",
        f'"SecretAccessKey": "{secret}"',
        f"AWS_SECRET_ACCESS_KEY={secret}",
    ):
        assert Redaction(keys=True).text(text) == text.replace(secret, MARK + "*" * 30)
    assert Redaction(keys=True).text(f"sha {secret}") == f"sha {secret}"


def test_a_value_is_covered_in_any_form() -> None:
    rules = Redaction(['pass"word\\12345', "short"])
    text = 'plain pass"word\\12345, JSON "pass\\"word\\\\12345", short'
    covered = rules.text(text)
    assert "12345" not in covered
    assert covered.endswith("short")
    assert rules.json({"a": ["x", {'pass"word\\12345': 1}], "thread_id": 'pass"word\\12345'}) == {
        "a": ["x", {"[redacted]*****": 1}],
        "thread_id": 'pass"word\\12345',
    }


def test_a_key_longer_than_what_is_held_back_is_covered_whole() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJ" + "ab1" * MAX_WORD + ".c2ln"
    text = f"x {token} y"
    rules = Redaction(keys=True)
    assert rules.text(text) == f"x {MARK}{'*' * (len(token) - len(MARK))} y"
    assert in_pieces(rules, text, list(range(0, len(text), 1_000))) == rules.text(text)


parts = st.lists(
    st.one_of(
        st.sampled_from(
            [*VALUES, *SECRETS.values(), PEM, "PIN 1234", "PIN", " ", "\n", "a", "aaaaaaa", "-----", "\\n"]
        ),
        st.sampled_from([text[:9] for text in (*VALUES, *SECRETS.values())]),
        st.text(max_size=6),
    ),
    max_size=8,
).map("".join)


@given(parts, st.lists(st.integers(0, 1200), max_size=12))
@example("aaaaaaaaaaaaaaa", [14])
@example("AKIAIOSFODNN7EXAMPLEPIN 1234", [])
@example("swordfish-swordfish-----", [])
def test_where_a_text_is_cut_makes_no_difference(text: str, cuts: list[int]) -> None:
    covered = ALL.text(text)
    assert in_pieces(ALL, text, cuts) == covered
    assert in_pieces(ALL, text, list(range(len(text)))) == covered
    assert len(covered) == len(text)
    assert covered.count("\n") == text.count("\n")
    if VALUES[1] in covered:  # spelled by the end of a mark and what is left: "[reda" and more of them
        return
    assert not any(value in covered for value in VALUES)
    if "PIN" not in text:  # patterns come last: what was beside one may stand alone now, and be a key
        assert ALL.text(covered) == covered


@given(st.text(max_size=80), st.lists(st.integers(0, 80), max_size=5))
def test_what_is_no_secret_is_left_to_the_letter(text: str, cuts: list[int]) -> None:
    assert in_pieces(ALL, text, cuts) == text


@given(st.integers(0, 3), st.integers(0, 40))
def test_long_words_and_lines_make_no_difference_either(many: int, cut: int) -> None:
    text = ("x" * (MAX_WORD * many + cut)) + SECRETS["github"] + " PIN 1234 " + "y" * MAX_LINE + "\n"
    assert in_pieces(ALL, text, [cut, cut + MAX_WORD, len(text) - 3]) == ALL.text(text)
    assert not Redaction()
    assert Redaction().text(text) is text


@pytest.mark.parametrize("length", range(4, 40))
@pytest.mark.parametrize("secret", [SECRETS["github"], VALUES[0] * 2])
def test_a_name_that_is_cut_off_within_a_secret_does_not_show_half_of_it(secret: str, length: int) -> None:
    rules = Redaction([VALUES[0] * 2], keys=True)
    covered = rules.name(f"use {secret}"[:length] + "…")
    assert secret[:9] not in covered
    assert covered.startswith("use ")
    assert len(covered) <= length + 1
    assert covered.endswith("…")


def test_names_that_are_cut_off_elsewhere_stay() -> None:
    for name in ("please fix the demonstration…", "a key: none", "my extraordinarily-long-word…"):
        assert ALL.name(name) == name
