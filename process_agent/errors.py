"""Every error this program raises on purpose, in one tree.

    ProcessError                 1  something went wrong and the text says what to do
    ├── UsageError               2  a flag, a name or a file the user gave cannot be used
    ├── AuthError                3  no credentials, expired ones, or a refused token
    ├── RoomError                4  the room cannot be reached or refused an operation
    │   ├── RoomRequestError        the room answered a request with an error code
    │   │   └── NewerTableError         a table of the room is that of a newer program
    │   └── RoomClosedError         the room connection ended for good
    ├── BackendError             5  the backend cannot start or stopped working
    │   └── TurnRefusedError        one turn or steer cannot be run; the backend itself is fine
    ├── TimeLimitError           6  a limit the user set, or a documented one, ran out
    │   └── NoAnswerError               a peer did not answer a request at all
    ├── HttpError                   a server that we ask cannot be reached or stopped answering
    ├── MailError                   a mail cannot be sent
    ├── ToolFailedError             a tool we host cannot do what its caller asked
    ├── WorkspaceError              the files of a thread cannot be had, compared or put back
    └── WireError                   bytes or JSON that do not follow a protocol
        ├── FrameTooLargeError      a line, packet or message above its documented limit
        └── RemoteError             the peer answered a JSON-RPC request with an error

The number is the exit code of the command line (DESIGN section 5); errors without one never
leave the layer that raises them, and exit with 1 if they do.
"""

from __future__ import annotations

from typing import ClassVar, Literal


class ProcessError(Exception):
    """Base of all errors raised on purpose.

    `message` says what happened and where; `fix` says what to do about it, in one sentence, or is None
    when the message already does.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return self.message if self.fix is None else f"{self.message} {self.fix}"


class UsageError(ProcessError):
    """A flag, name or file given by the user cannot be used."""

    exit_code = 2


class AuthError(ProcessError):
    """Credentials are missing, expired or refused."""

    exit_code = 3


class RoomError(ProcessError):
    """The room cannot be reached or refused an operation."""

    exit_code = 4


class RoomRequestError(RoomError):
    """The room answered a request with an error.

    `code` is the room's error number (room protocol section 6.2: 1001 permission denied, 1003 not found,
    1004 exists, …) or None.
    """

    def __init__(self, message: str, *, code: int | None = None, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.code = code


class NewerTableError(RoomRequestError):
    """A table of the room was made by a newer program, and is left as it is."""


class RoomClosedError(RoomError):
    """The room connection ended and will not be taken up again."""


class BackendError(ProcessError):
    """The backend cannot start, or stopped working."""

    exit_code = 5


class TurnRefusedError(BackendError):
    """One turn or steer cannot be run; `code` is the error code of the agent protocol (section 4.9)."""

    def __init__(self, message: str, *, code: str, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.code = code


class TimeLimitError(ProcessError):
    """A time limit ran out."""

    exit_code = 6


class NoAnswerError(TimeLimitError):
    """A peer did not answer a request in time, not even that it is overloaded."""


class HttpError(ProcessError):
    """A server that we ask cannot be reached, or stopped answering; the text names no address.

    `kind`: `connect` it cannot be reached, `silent` it said nothing for too long, `cut` the connection broke,
    `long` the whole answer took too long, `large` it is larger than allowed.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: Literal["connect", "silent", "cut", "long", "large"],
        fix: str | None = None,
    ) -> None:
        super().__init__(message, fix=fix)
        self.kind = kind


class MailError(ProcessError):
    """A mail cannot be sent; `temporary` says that trying again may help."""

    def __init__(self, message: str, *, temporary: bool, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.temporary = temporary


class ToolFailedError(ProcessError):
    """A tool we host cannot do what its caller asked; the text is for the caller."""


class WorkspaceError(ProcessError):
    """The files of a thread cannot be had, compared or put back as asked; the text is for people."""


class WireError(ProcessError):
    """Bytes or JSON that do not follow a protocol, or that ask for what we do not speak.

    `refusal` is the error code to refuse a message with, where the protocol has a refusal.
    """

    def __init__(self, message: str, *, fix: str | None = None, refusal: str = "invalid_message") -> None:
        super().__init__(message, fix=fix)
        self.refusal = refusal


class FrameTooLargeError(WireError):
    """A line, packet or message is above its documented limit."""


class RemoteError(WireError):
    """The peer answered a JSON-RPC request with an error.

    `code` is the JSON-RPC error code, `data` whatever JSON value the peer attached.
    """

    def __init__(self, message: str, *, code: int, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data
