"""What `--channel` can say."""

from __future__ import annotations

import pytest

from process_agent.channels.specs import (
    MAX_NAME,
    ChannelSpec,
    ChatSpec,
    CommandSpec,
    MailSpec,
    QueueSpec,
    ToolkitSpec,
    WebsocketSpec,
    parse_channel,
    parse_channels,
)
from process_agent.errors import UsageError


@pytest.mark.parametrize(
    ("text", "spec", "written"),
    [
        ("chat", ChatSpec(), "chat"),
        (" Chat ", ChatSpec(), "chat"),
        ("queue:work", QueueSpec("work"), "queue:work"),
        ("QUEUE://Work Items", QueueSpec("Work Items"), "queue:Work Items"),
        ("queue:a:b", QueueSpec("a:b"), "queue:a:b"),
        ("toolkit:helper", ToolkitSpec("helper"), "toolkit:helper"),
        ("toolkit://helper", ToolkitSpec("helper"), "toolkit:helper"),
        ("mail:Bot@Example.com", MailSpec("bot@example.com"), "mail:bot@example.com"),
        ("mail:a@b?reply-all=TRUE", MailSpec("a@b", True), "mail:a@b"),
        ("mail:a@b?reply-all=false", MailSpec("a@b"), "mail:a@b"),
        ("websocket:8765", WebsocketSpec(8765), "websocket://127.0.0.1:8765"),
        ("websocket://localhost:8765", WebsocketSpec(8765), "websocket://127.0.0.1:8765"),
        ("websocket://0.0.0.0:80", WebsocketSpec(80, "0.0.0.0"), "websocket://0.0.0.0:80"),
        ("websocket://[::1]:80", WebsocketSpec(80, "::1"), "websocket://[::1]:80"),
        ("command:tool", CommandSpec(("tool",)), 'command:["tool"]'),
        ("command:/a b/tool", CommandSpec(("/a b/tool",)), 'command:["/a b/tool"]'),
        ('command:["tool", "--x"]', CommandSpec(("tool", "--x")), 'command:["tool", "--x"]'),
    ],
)
def test_a_channel_is_read_and_written(text: str, spec: ChannelSpec, written: str) -> None:
    assert parse_channel(text) == spec
    assert parse_channel(text).text == written
    # `reply-all` is an option of the channel, not part of its name.
    assert parse_channel(written).text == written


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "There is no channel ''"),
        ("chat:", "There is no channel 'chat:'"),
        ("chat:room", "There is no channel"),
        ("queue", "There is no channel 'queue'"),
        ("voice:x", "There is no channel 'voice:x'"),
        ("memory", "There is no channel 'memory'"),
        ("queue:", "queue:NAME needs a name"),
        ("queue://", "queue:NAME needs a name"),
        ("toolkit: ", "toolkit:NAME needs a name"),
        ("queue:a\nb", "printable"),
        ("queue:" + "q" * (MAX_NAME + 1), "1 to 200"),
        ("mail:", "is not a mail address"),
        ("mail:bot", "is not a mail address"),
        ("mail:@b", "is not a mail address"),
        ("mail:a@b@c", "is not a mail address"),
        ("mail:a b@c", "is not a mail address"),
        ("mail:a@b,c@d", "is not a mail address"),
        ("mail:<a@b>", "is not a mail address"),
        ("mail:a@b?reply-all=maybe", "mail: does not know"),
        ("mail:a@b?other=1", "mail: does not know"),
        ("websocket:", "needs a port"),
        ("websocket:0", "needs a port"),
        ("websocket:http", "no usable address"),
        ("websocket:70000", "no usable address"),
        ("websocket://example.com:80", "no usable address"),
        ("websocket://127.0.0.1", "needs a port"),
        ("websocket://127.0.0.1:80/path", "needs a port"),
        ("websocket://user@127.0.0.1:80", "needs a port"),
        ("command:", "names no program"),
        ("command:[]", "takes a program"),
        ('command:["a", 1]', "takes a program"),
        ('command:["a"', "cannot be read"),
        ('command:["a\\u0000"]', "names no program"),
    ],
)
def test_what_is_no_channel_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_channel(text)
    assert why in str(error.value)


def test_the_same_channel_twice_is_one() -> None:
    texts = ["chat", "queue:q", "CHAT", "mail:A@b", "queue://q", "mail:a@B", "websocket:80"]
    specs = parse_channels([*texts, "websocket://localhost:80"])
    assert [spec.text for spec in specs] == ["chat", "queue:q", "mail:a@b", "websocket://127.0.0.1:80"]


def test_names_of_queues_and_toolkits_keep_their_case() -> None:
    assert len(parse_channels(["queue:a", "queue:A", "toolkit:a", "toolkit:A"])) == 4


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ([], "An agent needs a channel"),
        (["mail:a@b", "mail:a@b?reply-all=true"], "Two channels want mail:a@b"),
        (["queue:a@b", "mail:a@b"], "Two channels want the queue a@b"),
        (["mail:a@b", "queue:a@b"], "Two channels want the queue a@b"),
    ],
)
def test_channels_that_cannot_be_together_are_refused(texts: list[str], why: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_channels(texts)
    assert why in str(error.value)
