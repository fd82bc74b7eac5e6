"""The bench's side of a machine's helper, against a scripted helper on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from staging.bench.bench import Bench
from staging.bench.machines import HELPERS, Helpers, parse_helper
from staging.errors import NotSupportedError, StagingError
from tests.waiting import until
from wire.bench_helper import Told, Wanted, encode_told, parse_wanted
from wire.errors import FieldError

UUID, TOKEN = "0083000000000a", "0123456789abcdef"
DEADLINE = 60.0


class ScriptedHelper:
    """A helper that answers as the test says, and knows how many of its faults last."""

    def __init__(self) -> None:
        self.asked: list[Wanted] = []
        self.told = Told(done=True, text="done as asked")
        self.lasting = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(parse_wanted(await reader.readline()))
        self.writers.append(writer)
        writer.write(encode_told(self.told))
        self.lasting += 1
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            self.lasting -= 1
            writer.close()


@pytest.fixture
async def helper() -> AsyncIterator[tuple[ScriptedHelper, int]]:
    made = ScriptedHelper()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    yield made, server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def bench(
    tmp_path: Path, helper: tuple[ScriptedHelper, int]
) -> AsyncIterator[tuple[Bench, ScriptedHelper]]:
    made = Bench(tmp_path)
    made.helpers.set(UUID, f"127.0.0.1:{helper[1]}", TOKEN)
    yield made, helper[0]
    await made.close()


async def test_a_lasting_fault_lasts_as_long_as_its_connection(
    bench: tuple[Bench, ScriptedHelper],
) -> None:
    made, helper = bench
    _, told = await made.set(UUID.upper(), "freeze", {"seconds": 5})
    assert told == "done as asked"
    assert helper.asked == [Wanted("freeze", {"seconds": 5}, TOKEN)]
    assert list(made.board.active(UUID)) == ["freeze"]
    await until(lambda: helper.lasting == 1)
    assert [fault.name for fault in await made.clear(UUID)] == ["freeze"]
    await until(lambda: helper.lasting == 0)


async def test_the_same_fault_again_ends_the_first(bench: tuple[Bench, ScriptedHelper]) -> None:
    made, helper = bench
    await made.set(UUID, "freeze", {"seconds": 1000})
    await made.set(UUID, "freeze", {"seconds": 2000})
    await until(lambda: helper.lasting == 1 and len(helper.asked) == 2)
    assert made.board.active(UUID)["freeze"].number_of("seconds") == 2000


async def test_the_clouds_end_ends_every_fault(bench: tuple[Bench, ScriptedHelper]) -> None:
    made, helper = bench
    await made.set(UUID, "freeze")
    await made.close()
    await until(lambda: helper.lasting == 0)


async def test_a_fault_whose_helper_dies_is_over(bench: tuple[Bench, ScriptedHelper]) -> None:
    made, helper = bench
    await made.set(UUID, "freeze")
    await until(lambda: helper.writers)
    helper.writers[0].close()
    await until(lambda: not made.board.active(UUID))


async def test_what_happens_once_is_asked_and_not_kept(bench: tuple[Bench, ScriptedHelper]) -> None:
    made, helper = bench
    await made.set(UUID, "kill")
    assert [wanted.name for wanted in helper.asked] == ["kill"]
    assert not made.board.active(UUID)


async def test_a_refusal_is_told_and_nothing_is_kept(bench: tuple[Bench, ScriptedHelper]) -> None:
    made, helper = bench
    helper.told = Told(done=False, text="the card is the whole disk of this computer")
    with pytest.raises(NotSupportedError, match="whole disk of this computer"):
        await made.set(UUID, "freeze")
    assert not made.board.active(UUID)
    with pytest.raises(FieldError):  # a wrong value does not reach the helper
        await made.set(UUID, "freeze", {"seconds": -1})
    assert len(helper.asked) == 1


async def test_without_a_helper_it_is_said_what_is_needed(tmp_path: Path) -> None:
    made = Bench(tmp_path)
    with pytest.raises(NotSupportedError, match="bench-helper"):
        await made.set(UUID, "freeze")
    made.helpers.set(UUID, "127.0.0.1:1", TOKEN)
    with pytest.raises(StagingError, match="no bench helper answers at"):
        await made.set(UUID, "freeze")
    assert not made.board.devices


def test_helpers_are_kept_for_their_owner_alone(tmp_path: Path) -> None:
    helpers = Helpers(tmp_path)
    assert helpers.find(UUID) is None
    helpers.set(UUID, "[::1]:99", TOKEN)
    found = Helpers(tmp_path).find(UUID)
    assert found is not None
    assert (found.host, found.port) == ("::1", 99)
    assert TOKEN not in repr(found)
    assert (tmp_path / HELPERS).stat().st_mode & 0o777 == 0o600
    (tmp_path / HELPERS).write_text("not JSON")
    with pytest.raises(StagingError, match=HELPERS):
        helpers.find(UUID)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "1.2.3.4:99",
        "localhost:99",
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:x",
    ],
)
def test_a_helper_is_on_loopback(address: str) -> None:
    with pytest.raises(FieldError, match="ssh -L"):
        parse_helper(address, TOKEN)


def test_a_helper_has_a_real_token() -> None:
    with pytest.raises(FieldError) as caught:
        parse_helper("127.0.0.1:9", "guessed")
    assert "guessed" not in str(caught.value)
