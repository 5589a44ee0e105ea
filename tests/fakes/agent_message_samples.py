"""Strategies for everything that agent messages carry: events, requests and replies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.core import replies as rp
from process_agent.core import requests as rq
from process_agent.core.backend import ToolkitInfo
from process_agent.core.content import (
    EmptyResult,
    ErrorInfo,
    FilePart,
    GeneratedImage,
    JsonResult,
    LinkResult,
    LogLine,
    TextPart,
    TextResult,
)
from process_agent.core.decisions import Decision, Option, Question
from process_agent.core.ids import AskId, ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.models import ModelInfo, Pricing, ProviderModels
from process_agent.core.participants import Participant
from process_agent.core.store import ThreadEntry
from process_agent.core.usage import ContextWindow, Usage

NOW = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
names = st.text(min_size=1, max_size=12)
texts = st.text(max_size=40)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(names, children, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(names, json_values, max_size=3)
errors = st.builds(ErrorInfo, names, names)
content = st.lists(
    st.builds(TextPart, texts) | st.builds(FilePart, st.just("room:///a.png"), st.none() | names), max_size=3
).map(tuple)
items = names.map(ItemId)
sources = names.map(MessageId)
phases = st.sampled_from(["commentary", "final_answer", None])
lines = st.lists(st.builds(LogLine, texts, st.sampled_from(["stdout", "stderr"])), max_size=3).map(tuple)
asks = names.map(AskId)
targets = st.none() | names.map(ParticipantId)
sizes = st.none() | st.integers(1, 8192)
images = st.builds(GeneratedImage, st.just("data:image/png;base64,AA=="), st.none() | names, sizes, sizes)
logins = st.builds(
    lambda scopes, no_pkce: {"secret_name": "login", "scopes": scopes, "no_pkce": no_pkce},
    st.lists(names, max_size=3),
    st.booleans(),
)
refs = st.builds(e.ToolRef, items, names, names, names, st.none() | names)
questions = st.lists(
    st.builds(
        Question,
        names,
        texts,
        texts,
        st.lists(st.builds(Option, names, texts), max_size=3).map(tuple),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.sampled_from(["text", "number", "integer"]),
    ),
    max_size=3,
).map(tuple)
decisions = st.lists(st.sampled_from(Decision), min_size=1, max_size=4, unique=True).map(tuple)
choices = st.sampled_from([d for d in Decision if d is not Decision.UNANSWERED])
form_answers = st.dictionaries(names, st.lists(texts, max_size=3).map(tuple), max_size=3)
results = (
    st.none() | st.builds(TextResult, texts) | st.builds(JsonResult, json_values) | st.just(EmptyResult())
)
counts = st.integers(0, 2**40)
said = (content, st.none() | names)
bodies = st.one_of(
    st.builds(e.TextStarted, items, phases),
    st.builds(e.TextDelta, items, texts, phases),
    st.builds(e.TextEnded, items, phases),
    st.builds(e.ReasoningStarted, items),
    st.builds(e.ReasoningDelta, items, texts),
    st.builds(e.ReasoningEnded, items, arguments),
    st.builds(e.FileShown, items, texts),
    st.builds(e.ToolArguments, refs, texts),
    st.builds(e.ToolStarted, refs, arguments),
    st.builds(e.ToolLog, refs, lines),
    st.builds(e.ToolEnded, refs, results, st.none() | errors),
    st.builds(
        e.ApprovalRequested,
        refs,
        arguments,
        st.none() | names,
        decisions,
        questions,
        st.integers(0, 9),
        st.lists(names, max_size=3).map(tuple),
    ),
    st.builds(
        e.UsageUpdated,
        st.builds(Usage, counts, counts, counts, counts),
        st.none() | st.builds(ContextWindow, st.integers(1, 2**40), st.none() | counts, st.none() | counts),
        st.none() | st.floats(0, 1e6),
    ),
    st.builds(e.ImageStarted, items, arguments),
    st.builds(e.ImagePartial, items, images, st.integers(0, 9)),
    st.builds(e.ImageCompleted, items, st.lists(images, max_size=3).map(tuple)),
    st.builds(e.ImageFailed, items, errors),
    st.builds(e.ClientToolRequested, asks, names, arguments, targets),
    st.builds(e.ClientToolCancelled, asks, names, names, targets),
    st.builds(
        e.SecretRequested, asks, st.just("login"), st.none() | texts, st.none() | logins, st.none() | names
    ),
    st.builds(e.ContextCompacted, names, st.booleans(), st.none() | texts),
    st.builds(e.ThreadCleared, sources),
    st.builds(e.TurnEnded, st.just(e.EndReason.COMPLETED)),
    st.builds(e.TurnEnded, st.just(e.EndReason.INTERRUPTED)),
    st.builds(e.TurnEnded, st.sampled_from([e.EndReason.FAILED, e.EndReason.LOST]), errors),
    st.builds(e.TurnRequested, *said, st.none() | names, st.none() | names, st.none() | names),
    st.builds(e.SteerRequested, *said),
    st.builds(e.TurnAccepted, sources, *said),
    st.builds(e.TurnRejected, sources, errors),
    st.builds(e.TurnStarted, sources, *said, st.none() | sources),
    st.builds(e.SteerAccepted, sources, *said),
    st.builds(e.Steered, sources, *said),
    st.builds(e.SteerRejected, sources, errors),
    st.builds(e.InterruptAccepted, sources),
    st.builds(e.Interrupted, sources),
    st.builds(
        e.Status, st.none() | names, st.sampled_from(["busy", "steerable", None]), st.none() | st.just(NOW)
    ),
    st.builds(e.ModelChanged, st.none() | sources, names, st.none() | names, st.none() | names),
)


sender = Participant(ParticipantId("p1"), "user", {"name": "ana"})
envelopes = st.builds(rq.Envelope, sources, st.just("chat"), st.just(sender))
threads = names.map(ThreadId)
turns = names.map(TurnId)
wishes = st.builds(rq.ModelWish, st.none() | names, st.none() | names, st.none() | names)
client_tools = st.lists(
    st.builds(rq.ClientTool, names.filter(str.strip), arguments, st.none() | names, st.none() | texts),
    max_size=3,
    unique_by=lambda tool: tool.name,
).map(tuple)
options = st.builds(rq.TurnOptions, st.none() | names, client_tools)
tool_answers = (
    st.builds(TextResult, texts)
    | st.builds(JsonResult, json_values)
    | st.builds(LinkResult, names, names)
    | st.just(EmptyResult())
    | st.builds(ErrorInfo, names, st.integers(-99, 999).map(str) | st.just("client_tool_failed"))
)
secrets = st.builds(rq.Secret, st.none() | texts, st.none() | texts, st.none() | texts, st.none() | texts)
all_requests = st.one_of(
    st.builds(rq.StartThread, envelopes, content, st.none() | names, wishes, options),
    st.builds(rq.StartTurn, envelopes, threads, content, st.none() | turns, wishes, options),
    st.builds(rq.ClearThread, envelopes, threads),
    st.builds(rq.AnswerClientTool, envelopes, threads, turns, asks, tool_answers),
    st.builds(rq.AnswerSecret, envelopes, threads, turns, asks, secrets),
    st.builds(rq.SteerTurn, envelopes, threads, turns, content),
    st.builds(rq.InterruptTurn, envelopes, threads, turns),
    st.builds(
        rq.OpenThread,
        envelopes,
        threads,
        st.booleans(),
        st.none() | names,
        st.none() | names,
        st.none() | st.integers(1, 1_000),
    ),
    st.builds(rq.CloseThread, envelopes, threads),
    st.builds(rq.ListThreads, envelopes, st.integers(1, 200), st.integers(0, 1000)),
    st.builds(rq.WatchThreads, envelopes),
    st.builds(rq.UnwatchThreads, envelopes),
    st.builds(rq.RenameThread, envelopes, threads, names),
    st.builds(rq.DeleteThread, envelopes, threads, st.booleans()),
    st.builds(rq.ListModels, envelopes),
    st.builds(rq.ChangeModel, envelopes, threads, wishes),
    st.builds(rq.Decide, envelopes, threads, turns, items, choices, form_answers),
    st.builds(rq.ListCapabilities, envelopes, threads),
)


entries = st.builds(ThreadEntry, threads, names, st.just(NOW), st.just(NOW))
prices = st.integers(0, 10**9).map(lambda thousandths: thousandths / 1000)
models = st.builds(
    ModelInfo,
    names,
    st.none() | names,
    st.none() | names,
    st.none() | counts,
    st.just(("image",)) | st.just(()),
    st.booleans(),
    st.none() | st.builds(Pricing, prices, prices, st.none() | prices),
)
all_providers = st.builds(
    ProviderModels, names, names, names, st.none() | names, st.lists(models, max_size=2).map(tuple)
)
all_replies = st.one_of(
    st.builds(rp.ThreadStarted, sources, threads),
    st.builds(rp.ThreadStartRejected, sources, errors),
    st.builds(rp.ThreadLoaded, sources, threads, st.none() | names, st.none() | names),
    st.builds(
        rp.ThreadsListed,
        sources,
        st.lists(entries, max_size=3).map(tuple),
        counts,
        counts,
        st.integers(1, 200),
    ),
    st.builds(rp.ThreadCreated, entries),
    st.builds(rp.ThreadUpdated, entries),
    st.builds(rp.ThreadDeleted, threads),
    st.builds(rp.ModelsListed, sources, st.lists(all_providers, max_size=2).map(tuple)),
    st.builds(
        rp.CapabilitiesListed,
        sources,
        threads,
        names,
        st.lists(
            st.builds(ToolkitInfo, names, names, st.lists(st.tuples(names, names), max_size=2).map(tuple)),
            max_size=2,
        ).map(tuple),
    ),
    st.builds(rp.RequestRejected, sources, threads, errors),
)
