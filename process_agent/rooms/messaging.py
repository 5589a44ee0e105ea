"""Presence and messages of a joined room: the `Messaging` port over the published client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meshagent.api.room_server_client import (
    IncomingMessagingStreamRequest,
    RemoteParticipant,
)
from meshagent.api.room_server_client import RoomMessage as PublishedMessage

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant
from process_agent.core.room import IncomingStream, RoomMessage
from process_agent.errors import RoomRequestError
from process_agent.rooms.requests import Room
from process_agent.rooms.streams import AcceptableStream, OpenedStream, open_stream

_NOT_FOUND = 1003


class RoomMessaging:
    """See `core.room.Messaging`. Sending waits while too much is unsent, so that a slow room slows us."""

    def __init__(self, room: Room, role: str) -> None:
        self._room = room
        self._role = role
        self._client = room.client.messaging

    @property
    def in_order(self) -> bool:
        """See `core.room.InOrder`: one connection takes messages and requests to the room in order."""
        return self._room.connected

    @property
    def me(self) -> Participant:
        """Our own entry; its id changes when the connection is taken up again."""
        local = self._room.client.local_participant
        return Participant(ParticipantId(local.id), self._role, local.attributes)

    def participants(self) -> Sequence[Participant]:
        """The other participants that enabled messaging."""
        return [_participant(remote) for remote in self._client.remote_participants]

    def participant(self, participant_id: ParticipantId) -> Participant | None:
        """One of them."""
        remote = self._client.get_participant(participant_id)
        return None if remote is None else _participant(remote)

    async def send(self, to: ParticipantId, message_type: str, body: Mapping[str, Json]) -> None:
        """Send one message. Raises `RoomRequestError` with code 1003 when the participant is gone."""
        remote = self._remote(to)
        await self._room.connection.writable()
        with self._room.request("deliver a message"):
            await self._client.send_message(to=remote, type=message_type, message=dict(body))

    async def open_stream(
        self, to: ParticipantId, stream_type: str, body: Mapping[str, Json]
    ) -> OpenedStream:
        """Open a stream; returns once the other side accepted it.

        Raises `RoomRequestError` with its reason when it refuses, `RoomError` when it does not answer.
        """
        remote = self._remote(to)
        await self._room.connection.writable()
        return await open_stream(self._room, remote, stream_type, body)

    async def set_attributes(self, attributes: Mapping[str, Json]) -> None:
        """Change our own attributes; None withdraws one. They survive a lost connection."""
        for name, value in attributes.items():
            self._room.client.local_participant.set_attribute(name, value)

    def on_message(self, handler: Callable[[RoomMessage], None]) -> Callable[[], None]:
        """Call `handler` for each incoming message, in order, without waiting; returns the unsubscribe."""

        def received(message: PublishedMessage) -> None:
            handler(
                RoomMessage(
                    sender=self.participant(ParticipantId(message.from_participant_id)),
                    type=message.type,
                    body=message.message,
                    attachment=message.attachment or None,
                )
            )

        return self._subscribe("message", received)

    def on_stream(self, handler: Callable[[IncomingStream], None]) -> Callable[[], None]:
        """Call `handler` for each stream another participant opens; returns the unsubscribe."""

        def requested(request: IncomingMessagingStreamRequest) -> None:
            sender = self.participant(ParticipantId(request.from_participant_id))
            handler(AcceptableStream(self._room, request, sender))

        return self._subscribe("stream_requested", requested)

    def on_joined(self, handler: Callable[[Participant], None]) -> Callable[[], None]:
        """Call `handler` when a participant enables messaging, and again when its attributes change; returns
        the unsubscribe.

        Those who are there already when the connection is taken up again are told of too.
        """

        def added(participant: RemoteParticipant) -> None:
            handler(_participant(participant))

        def enabled() -> None:
            for participant in self.participants():
                handler(participant)

        unsubscribes = (
            self._subscribe("participant_added", added),
            self._subscribe("participant_attributes_updated", added),
            self._subscribe("messaging_enabled", enabled),
        )

        def unsubscribe() -> None:
            for each in unsubscribes:
                each()

        return unsubscribe

    def on_left(self, handler: Callable[[Participant], None]) -> Callable[[], None]:
        """Call `handler` when a participant leaves or disables messaging; returns the unsubscribe.

        When our own connection is lost, everybody leaves.
        """

        def removed(participant: RemoteParticipant) -> None:
            handler(_participant(participant))

        return self._subscribe("participant_removed", removed)

    def on_connection(self, handler: Callable[[bool], None]) -> Callable[[], None]:
        """Call `handler` with False when the connection is lost and with True when it is taken up again and
        the roster is known; returns the unsubscribe. Streams do not survive a lost connection.
        """

        def changed(online: bool) -> None:
            handler(online)

        return self._subscribe("state", changed)

    def _remote(self, participant_id: ParticipantId) -> RemoteParticipant:
        remote = self._client.get_participant(participant_id)
        if remote is None:
            raise RoomRequestError("The participant is not in the room.", code=_NOT_FOUND)
        return remote

    def _subscribe(self, event: str, handler: Callable[..., Any]) -> Callable[[], None]:
        self._client.on(event, handler)

        def unsubscribe() -> None:
            if handler in self._client._events.get(event, ()):  # its own `off` raises when called twice
                self._client.off(event, handler)

        return unsubscribe


def _participant(remote: RemoteParticipant) -> Participant:
    return Participant(ParticipantId(remote.id), str(remote.role), remote.attributes)
