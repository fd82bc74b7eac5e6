"""A machine's journal as steps of a simulated one."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from agent.diag.archive import pack
from agent.event_journal import EventJournal
from tools.sim.journal import NAME, Step, make_plan, read_bundle, title_number
from wire.codes import Code
from wire.exchange import Answer


def line(at: float, what: str, **members: Any) -> str:
    return json.dumps({"at": at, "what": what, **members})


async def test_what_the_agent_writes_is_what_is_done_again(tmp_path: Path) -> None:
    now = [5000.0]
    book = EventJournal(tmp_path, lambda: now[0])
    book.note("start", version="1.0.0", boot="aa")
    now[0] += 3
    book.note_link(is_up=True)
    book.note_order("play", "Snow White", Answer(Code.CHANGED), local=True)
    book.note_order("volume", "99", Answer(Code.BAD_REQUEST), local=False)
    book.note("report", key="play")
    now[0] += 7
    book.note("end", restart=False)
    await book.close()
    text = (tmp_path / NAME).read_bytes()
    (tmp_path / "bundle").write_bytes(pack("diag", {"log.txt": b"", NAME: text}, 5010.0))
    assert read_bundle(tmp_path / "bundle") == read_bundle(tmp_path / NAME)
    plan = make_plan(read_bundle(tmp_path / "bundle"))
    assert plan.steps == [
        Step(3.0, "network", ("up",)), Step(3.0, "order", ("hand", "play", "title 1")),
        Step(10.0, "stop"),
    ]  # fmt: skip
    assert plan.seconds == 10.0
    assert dict(plan.left_out) == {"order volume": 1}
    assert dict(plan.reports) == {"play": 1}


def test_a_machine_s_bundle_is_run_in_the_simulation(tmp_path: Path) -> None:
    """As `make replay` runs it: each step at its time, the invariants, and what was reported there and here."""
    journal = [
        line(1.8e9, "start", boot="a"), line(1.8e9 + 1, "link", up=True), line(1.8e9 + 2, "report", key="volume"),
        line(1.8e9 + 3, "order", by="hand", name="volume", code="2.04", value="5"),
        line(1.8e9 + 3, "report", key="volume"), line(1.8e9 + 4, "order", by="app", name="play", code="4.00"),
        line(1.8e9 + 20, "start", boot="a"), line(1.8e9 + 30, "link", up=True),
    ]  # fmt: skip
    (tmp_path / "bundle").write_bytes(pack("diag", {NAME: "\n".join(journal).encode()}, 1.8e9))
    words = [sys.executable, "-m", "tools.sim.replay", str(tmp_path / "bundle")]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    trace = [each.strip() for each in run.stdout.splitlines()]
    assert [each[: each.index(" (")].strip() for each in trace if " -- " in each and " (" in each] == [
        "1.000 -- network up", "3.000 -- order hand volume 5", "18.000 -- kill", "30.000 -- network up",
    ]  # fmt: skip
    assert "left out: {'order play': 1}" in trace
    (told,) = (each for each in trace if each.startswith("reports, on the machine and here: "))
    assert " volume 2/" in told
    assert trace[-1].startswith("no invariant was broken; ")


def test_a_start_without_an_end_was_a_kill_or_a_cut_and_an_update_restarts_by_itself() -> None:
    starts = [
        line(100, "start", boot="a"), line(200, "start", boot="a"), line(300, "start", boot="b"),
        line(400, "end", restart=True), line(401, "start", boot="b"),
    ]  # fmt: skip
    assert make_plan(starts).steps == [Step(98.0, "kill"), Step(198.0, "power")]


def test_a_clock_that_is_set_is_no_time_that_passes() -> None:
    ticks = [line(1.0, "start"), line(1.7e9, "x"), line(1.7e9 + 5, "x"), line(1.6e9, "x")]
    assert make_plan(ticks).seconds == 5.0


@pytest.mark.parametrize(
    "bad", ["", "{", "[]", "7", '{"at": true}', '{"at": NaN}', '{"at": "x"}', "[" * 9999, '{"at":-1}']
)  # fmt: skip
def test_a_line_that_is_none_is_left_out(bad: str) -> None:
    plan = make_plan([bad])
    assert not plan.steps
    assert sum(plan.left_out.values()) == bool(bad)


def test_a_bundle_without_a_journal_says_so(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(pack("diag", {"log.txt": b"x"}, 1.0))
    with pytest.raises(ValueError, match="before the event journal"):
        read_bundle(tmp_path / "old")
    (tmp_path / "torn").write_bytes(pack("diag", {NAME: b"x" * 900}, 1.0)[:60])
    with pytest.raises(ValueError, match="no archive"):
        read_bundle(tmp_path / "torn")


def packed(name: str, text: bytes = b"", kind: bytes = tarfile.REGTYPE, to: str = "") -> bytes:
    """An archive of one member."""
    member, archive = tarfile.TarInfo(name), io.BytesIO()
    member.size, member.type, member.linkname = len(text), kind, to
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.addfile(member, io.BytesIO(text))
    return archive.getvalue()


WHOLE = packed(f"diag/{NAME}", random.Random(1).randbytes(40_000))  # bytes that do not pack


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (WHOLE[:20_000], "a damaged one"),
        (WHOLE[:12], "a damaged one"),
        (WHOLE[:-6] + bytes([WHOLE[-6] ^ 1]) + WHOLE[-5:], "a damaged one: CRC check failed"),
        (WHOLE[:2] + b"\x09" + WHOLE[3:], "a damaged one: Unknown compression method"),
        (WHOLE[:10] + b"\xff" * 40 + WHOLE[50:], "a damaged one: Error -3"),
        (gzip.compress(b"no tar" * 1000), "a damaged one"),
        (packed(f"diag/{NAME}", kind=tarfile.SYMTYPE, to="nowhere"), f"it has no {NAME}"),
        (packed(f"diag/{NAME}", kind=tarfile.SYMTYPE, to=NAME), f"it has no {NAME}"),
        (packed(f"diag/{NAME}", kind=tarfile.DIRTYPE), f"it has no {NAME}"),
    ],
    # The bytes have the time of their making in them: names made of them would differ between pytest's processes.
    ids=["half", "head", "sum", "method", "middle", "no tar", "link", "loop", "folder"],
)
def test_a_damaged_bundle_is_told_and_nothing_of_it_is_run(
    data: bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / "bundle").write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(told)):
        read_bundle(tmp_path / "bundle")


def test_a_title_is_a_number() -> None:
    assert title_number("title 12") == 12
    assert title_number("stop") is None
