"""What the cloud's answers mean, the same on every link: to the registration, to reports and to ``alive``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from agent.link import (
    TWIN,
    CloudBusyError,
    IdentityTakenError,
    LinkError,
    LostError,
    RegisterError,
    RegistrationRefusedError,
    ReportRejectedError,
)
from agent.link.guard import CloudTime
from wire.codes import Code, dotted
from wire.errors import WireError, show
from wire.exchange import Answer
from wire.reports import (
    KEEPALIVE,
    Registered,
    parse_alive_answer,
    parse_registration_answer,
    report_payload,
)

_log = logging.getLogger(__name__)


def read_registration(answer: Answer) -> Registered:
    """Return what the cloud tells about itself when it accepts a registration.

    Only 4.01 and 4.09 are about this device; any other code may pass (docs/link.md).

    Raises:
        RegistrationRefusedError, IdentityTakenError, RegisterError: it was not accepted.
    """
    if answer.code != Code.CONTENT:
        raise _refusal(answer)
    try:
        return parse_registration_answer(answer.payload)
    except WireError as error:  # the document does not specify the payload
        _log.debug("link: the answer to the registration is not read: %s", error)
        return Registered()


def _refusal(answer: Answer) -> RegisterError:
    text = _show(answer)
    if answer.code == Code.UNAUTHORIZED:
        return RegistrationRefusedError(f"the cloud refuses this device: {text}")
    if answer.code == Code.CONFLICT:
        return IdentityTakenError(f"another machine uses this identity: {text}")
    if answer.code >> 5 == 5:
        return RegisterError(f"registration: {text}")
    return RegisterError(f"the cloud refuses this device: {text}")


def check_report(answer: Answer) -> None:
    """Raise the error that a report's answer stands for (classes: RFC 7252 section 5.9).

    Raises:
        LostError: the cloud no longer knows this registration; the caller ends the connection.
        CloudBusyError: the cloud cannot take reports now.
        ReportRejectedError: another error code; a retry would not help.
    """
    if answer.code == Code.UNAUTHORIZED:
        raise LostError(f"the cloud no longer knows this registration: {_show(answer)}")
    if answer.code >> 5 == 5:
        raise CloudBusyError(f"the cloud cannot take reports now: {_show(answer)}", answer.again)
    if answer.code >> 5 != 2:
        raise ReportRejectedError(_show(answer))


def _show(answer: Answer) -> str:
    return f"{dotted(answer.code)} {show(answer.payload)}"


class Heartbeat:
    """Reports ``alive`` regularly: it proves that a cloud is there, and keeps its time.

    Attributes:
        warning: what is wrong though the connection is up, "" if nothing is.
    """

    def __init__(
        self, send: Callable[[bytes], Awaitable[bytes]], time: CloudTime, seconds: float
    ) -> None:
        """Report by ``send`` every ``seconds``, and note the cloud's time in ``time``."""
        self._send = send
        self._time = time
        self._seconds = seconds
        self.warning = ""

    async def run(self) -> str:
        """Report until a report fails; return the reason, in words."""
        while True:
            await asyncio.sleep(self._seconds)
            asked = self._time.clock()
            try:
                answer = await self._send(report_payload(KEEPALIVE))
            except (LinkError, ReportRejectedError) as error:
                return f"keepalive: {error}"
            # Otherwise the two clocks would drift apart while a connection lasts.
            if (told := parse_alive_answer(answer)) is not None:
                self._time.note(told.time_ms, asked)
                self._note_twin(there=told.twin)

    def _note_twin(self, *, there: bool) -> None:
        if there and not self.warning:
            _log.warning("link: %s", TWIN)
        self.warning = TWIN if there else ""
