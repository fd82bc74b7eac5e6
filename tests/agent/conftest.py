"""A cloud under the test's control, and a check for code that blocks the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from blockbuster import blockbuster_ctx

from tests.agent.parts import Cloud
from tests.authority import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def cloud(authority: Authority) -> AsyncIterator[Cloud]:
    """Run a cloud that accepts everything, unless the test gives it another script."""
    made = Cloud(authority.server_context())
    await made.start()
    yield made
    await made.stop()


# Calls that may block, with the file and functions that make them, because they happen only once, at the
# agent's start or end.
ALLOWED = {
    "io.TextIOWrapper.read": (
        "base/clock.py",
        {"boot_id"},
    ),  # a file of the kernel, not on a disk
    "os.unlink": ("agent/local/sockets.py", {"unix_socket"}),  # before the first request is served
    "threading.Lock.acquire": ("agent/link/outbox.py", {"close"}),  # joins an idle thread
}


@pytest.fixture
def no_blocking() -> Iterator[None]:
    """Make each blocking call of our code in the event loop raise; it is found by name, not by time."""
    with blockbuster_ctx(scanned_modules=["agent", "resources", "transport", "wire"]) as guard:
        for call, (file, functions) in ALLOWED.items():
            guard.functions[call].can_block_in(file, functions)
        yield
