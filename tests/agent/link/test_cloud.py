"""What the cloud's answers mean is the same on every link: one table for both."""

from __future__ import annotations

import asyncio
import json

import pytest

from agent.link import (
    CloudBusyError,
    IdentityTakenError,
    LinkError,
    LostError,
    RegisterError,
    RegistrationRefusedError,
    ReportRejectedError,
)
from agent.link.cloud import Heartbeat, check_report, read_registration
from agent.link.guard import CloudTime
from wire.codes import Code
from wire.exchange import Answer
from wire.reports import Registered


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (Code.UNAUTHORIZED, RegistrationRefusedError),
        (Code.CONFLICT, IdentityTakenError),
        # Whatever else is said may be of a proxy, or of a cloud that is being changed.
        (Code.BAD_REQUEST, RegisterError),
        (Code.FORBIDDEN, RegisterError),
        (Code.NOT_FOUND, RegisterError),
        (Code.SERVICE_UNAVAILABLE, RegisterError),
        (Code.CHANGED, RegisterError),
    ],
)
def test_only_a_token_and_a_twin_are_about_this_device(code: Code, error: type[LinkError]) -> None:
    with pytest.raises(RegisterError, match=code.dotted) as caught:
        read_registration(Answer(code, b"no"))
    assert type(caught.value) is error


def test_a_cloud_may_tell_nothing_or_nonsense_with_its_yes() -> None:
    assert read_registration(Answer(Code.CONTENT)) == Registered()
    assert read_registration(Answer(Code.CONTENT, b"hello")) == Registered()
    told = read_registration(Answer(Code.CONTENT, b'{"time_ms": 5000, "reads": ["number"]}'))
    assert told.reads == {"number"}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (Code.UNAUTHORIZED, LostError),
        (Code.SERVICE_UNAVAILABLE, CloudBusyError),
        (Code.INTERNAL_SERVER_ERROR, CloudBusyError),
        (Code.BAD_REQUEST, ReportRejectedError),
        (Code.TOO_LARGE, ReportRejectedError),
    ],
)
def test_a_reports_answer(code: Code, error: type[Exception]) -> None:
    with pytest.raises(error, match=code.dotted) as caught:
        check_report(Answer(code, b"no"))
    assert type(caught.value) is error
    check_report(Answer(Code.CHANGED))
    check_report(Answer(Code.CONTENT))


class Cloud:
    """Answers ``alive`` one after the other, and then is lost."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.warnings: list[str] = []
        self.time = CloudTime(lambda: 100.0)
        self.heartbeat = Heartbeat(self.send, self.time, 0.0)

    async def send(self, payload: bytes) -> bytes:
        self.asked.append(payload)
        self.warnings.append(self.heartbeat.warning)
        if not self.answers:
            raise LostError("the connection ended")
        return self.answers.pop(0)


async def test_a_heartbeat_keeps_the_time_and_the_warning_until_it_fails() -> None:
    cloud = Cloud(b'{"time_ms": 500000}', b'{"time_ms": 500000, "twin": true}', b'{"time_ms": 1}')
    async with asyncio.timeout(20):
        assert await cloud.heartbeat.run() == "keepalive: the connection ended"
    assert [json.loads(each) for each in cloud.asked] == [{"data": {"alive": 0}}] * 4
    assert [bool(each) for each in cloud.warnings] == [False, False, True, False]
    assert cloud.time.remaining(500_000) is not None


@pytest.mark.parametrize("again", [None, 0, 10])
def test_a_refusal_for_now_says_when_to_ask_again(again: int | None) -> None:
    with pytest.raises(CloudBusyError) as caught:
        check_report(Answer(Code.SERVICE_UNAVAILABLE, b"full", again))
    assert caught.value.again == again
