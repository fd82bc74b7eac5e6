"""A cloud under the test's control, and a guard against code that blocks the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.agent.parts import Authority, Cloud

# Far above what any callback of ours takes, far below what a listener would notice on a busy machine.
BLOCKING_SECONDS = 1.0


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def cloud(authority: Authority) -> AsyncIterator[Cloud]:
    """A cloud that accepts everything, unless the test gives it another script."""
    made = Cloud(authority.server_context())
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def no_blocking(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fail the test when one callback holds up the event loop for BLOCKING_SECONDS."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = BLOCKING_SECONDS
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    slow = [
        record.getMessage()
        for record in records
        if record.name == "asyncio" and record.getMessage().startswith("Executing ")
    ]
    loop.set_debug(False)
    assert not slow
