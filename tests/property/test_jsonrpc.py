"""Two peers joined by two pipes that may cut the bytes anywhere and answer in any order."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from process_agent.wire import ndjson
from process_agent.wire.jsonrpc import Answer, Malformed, Notification, Peer, Request, Stray

params = st.dictionaries(st.text(max_size=5), st.integers(-9, 9) | st.text(max_size=5), max_size=3)
methods = st.sampled_from(["thread/start", "turn/start", "item/tool/call"])
sides = st.sampled_from([0, 1])


class TwoPeers(RuleBasedStateMachine):
    """A model keeps what each side asked and was told; the peers must agree with it."""

    @initialize()
    def start(self) -> None:
        self.peers = [Peer(), Peer()]
        self.splitters = [ndjson.LineSplitter(), ndjson.LineSplitter()]
        self.pipes = [b"", b""]  # bytes on their way to side 0 and 1
        self.sent: list[dict[Any, tuple[str, dict[str, Any]]]] = [{}, {}]
        self.expected: list[dict[Any, tuple[str, Any]]] = [{}, {}]
        self.open: list[list[Request]] = [[], []]  # requests that side has to answer
        self.forgotten: list[set[Any]] = [set(), set()]
        self.notes: list[list[tuple[str, dict[str, Any]]]] = [[], []]  # on their way to that side

    def send(self, side: int, line: bytes) -> None:
        self.pipes[1 - side] += line

    @rule(side=sides, method=methods, params=params)
    def ask(self, side: int, method: str, params: dict[str, Any]) -> None:
        id, line = self.peers[side].request(method, params)
        assert id not in self.sent[side]
        self.sent[side][id] = (method, params)
        self.send(side, line)

    @rule(side=sides, method=methods, params=params)
    def tell(self, side: int, method: str, params: dict[str, Any]) -> None:
        self.send(side, self.peers[side].notification(method, params))
        self.notes[1 - side].append((method, params))

    @rule(side=sides)
    def give_up(self, side: int) -> None:
        for id in sorted(self.peers[side].waiting, key=str)[:1]:
            self.peers[side].forget(id)
            self.forgotten[side].add(id)

    @precondition(lambda self: self.open[0] or self.open[1])
    @rule(data=st.data(), ok=st.booleans(), value=params)
    def answer(self, data: st.DataObject, ok: bool, value: dict[str, Any]) -> None:
        side = data.draw(st.sampled_from([s for s in (0, 1) if self.open[s]]))
        request = self.open[side].pop(data.draw(st.integers(0, len(self.open[side]) - 1)))
        peer = self.peers[side]
        line = peer.result(request.id, value) if ok else peer.error(request.id, -5, "no", value)
        assert line is not None
        assert peer.result(request.id, {}) is None, "a second answer must not be sent"
        self.expected[1 - side][request.id] = ("ok" if ok else "error", value)
        self.send(side, line)

    @rule(
        side=sides, noise=st.sampled_from([b"[]\n", b"{\n", b"nope\n", b"{}\n", b'{"id":99999,"result":1}\n'])
    )
    def disturb(self, side: int, noise: bytes) -> None:
        if self.pipes[side] == b"":
            self.pipes[side] = noise

    @rule(side=sides, count=st.integers(1, 400))
    def deliver(self, side: int, count: int) -> None:
        piece, self.pipes[side] = self.pipes[side][:count], self.pipes[side][count:]
        for line in self.splitters[side].feed(piece):
            self.arrived(side, self.peers[side].receive(line))

    def arrived(self, side: int, message: object) -> None:
        match message:
            case Notification(method, params):
                assert (method, params) == self.notes[side].pop(0)
            case Request(id, method, params) as request:
                assert self.sent[1 - side][id] == (method, params)
                self.open[side].append(request)
            case Answer(id, result, error):
                kind, value = self.expected[side].pop(id)
                assert id not in self.forgotten[side]
                if kind == "ok":
                    assert (result, error) == (value, None)
                else:
                    assert error is not None
                    assert (error.code, str(error), error.data) == (-5, "no", value)
            case Stray(id):
                assert id == 99999 or id in self.forgotten[side]
                self.expected[side].pop(id, None)
            case _:
                assert isinstance(message, Malformed)

    @invariant()
    def tables_agree(self) -> None:
        for side in (0, 1):
            assert self.peers[side].asked == {request.id for request in self.open[side]}

    def teardown(self) -> None:
        if not hasattr(self, "peers"):
            return
        for side in (0, 1):
            self.deliver(side, len(self.pipes[side]))
        for side in (0, 1):
            assert not self.notes[side]
            answered_or_open = {request.id for request in self.open[1 - side]}
            assert self.peers[side].waiting == answered_or_open - self.forgotten[side]


TestTwoPeers = TwoPeers.TestCase
TestTwoPeers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.binary(max_size=60))
def test_no_line_makes_a_peer_raise(line: bytes) -> None:
    Peer().receive(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"method":1}',
        b'{"method":"x","params":[1]}',
        b'{"method":"x","id":true}',
        b'{"method":"x","id":null}',
        b'{"method":"x","id":1.5}',
    ],
)
def test_calls_that_break_the_rules_are_malformed(line: bytes) -> None:
    assert isinstance(Peer().receive(line), Malformed)


def test_a_request_id_in_use_is_malformed_and_free_again_after_the_answer() -> None:
    peer = Peer()
    assert isinstance(peer.receive(b'{"id":0,"method":"a"}'), Request)
    assert isinstance(peer.receive(b'{"id":0,"method":"b"}'), Malformed)
    assert peer.result(0, {}) is not None
    assert isinstance(peer.receive(b'{"id":0,"method":"c"}'), Request)


@pytest.mark.parametrize(
    "error", [b"null", b"7", b'"x"', b"{}", b'{"message":"m"}', b'{"code":"x","message":7}']
)
def test_an_unreadable_error_still_wakes_who_waits(error: bytes) -> None:
    peer = Peer()
    id, _ = peer.request("m", {})
    answer = peer.receive(b'{"error":%s,"id":1}' % error)
    assert isinstance(answer, Answer)
    assert answer.id == id
    assert answer.error is not None


def test_an_empty_params_object_is_sent() -> None:
    _, line = Peer().request("thread/start", {})
    assert ndjson.decode(line) == {"jsonrpc": "2.0", "method": "thread/start", "params": {}, "id": 1}


def test_a_withdrawn_request_gets_no_answer() -> None:
    peer = Peer()
    peer.receive(b'{"id":0,"method":"a"}')
    assert peer.withdraw(0)
    assert not peer.withdraw(0)
    assert peer.error(0, 1, "late") is None
