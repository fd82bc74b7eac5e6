"""Sheets of labels as PDF: the table of objects is right, the codes are those of segno, and every text is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
import segno

from staging.labels.pdf import Page, render
from staging.labels.sheet import ACROSS, DOWN, code_of, sheets
from staging.store.label_rows import Label
from wire.pairing import pairing_text

TOKEN = "0123456789abcdef0123456789abcdef"


def label(number: int, product: str = "story-machine") -> Label:
    return Label(f"{number:014x}", TOKEN, "2026-11", product, number)


def contents(data: bytes) -> list[str]:
    """Check the table, and return the pages' contents."""
    table = int(data.rpartition(b"startxref\n")[2].split()[0])
    lines = data[table:].split(b"\n")
    assert lines[0] == b"xref"
    count = int(lines[1].split()[1])
    for number, line in enumerate(lines[2 : 2 + count]):
        if number:
            assert data[int(line[:10]) :].startswith(b"%d 0 obj\n" % number)
    found = []
    for match in re.finditer(rb"/Length (\d+) /Filter /FlateDecode >>\nstream\n", data):
        body = data[match.end() : match.end() + int(match[1])]
        assert data[match.end() + int(match[1]) :].startswith(b"\nendstream")
        found.append(zlib.decompress(body).decode("ascii"))
    return found


def test_labels_fill_pages() -> None:
    per_page = ACROSS * DOWN
    for count, pages in ((1, 1), (per_page, 1), (per_page + 1, 2)):
        found = contents(sheets([label(n) for n in range(1, count + 1)], "batch"))
        assert len(found) == pages
        assert sum(page.count("BI /W") for page in found) == count
    assert contents(sheets([], "none")) == []


def test_the_code_on_a_label_is_the_machines() -> None:
    one = label(7)
    (page,) = contents(sheets([one], "batch"))
    match = re.search(
        r"BI /W (\d+) /H (\d+) /IM true /BPC 1 /D \[1 0\] /F /AHx ID ([0-9a-f]+)> EI", page
    )
    assert match
    side = int(match[1])
    assert side == 37
    width = -(-side // 8)
    data = bytes.fromhex(match[3])
    rows = [
        [int(bit) for bit in f"{int.from_bytes(data[at : at + width], 'big'):0{8 * width}b}"[:side]]
        for at in range(0, len(data), width)
    ]
    assert rows == code_of(one)
    same = segno.make(
        pairing_text(one.uuid, TOKEN),
        error="m",
        version=5,
        mask=3,
        micro=False,
        boost_error=False,
    )
    assert rows == [list(row) for row in same.matrix]


def test_text_of_any_language_is_written() -> None:
    page = Page()
    page.text(0, 0, 8, "story (machine) \\ é")
    page.text(0, 9, 8, "小兔\n乖乖")
    (content,) = contents(render([page], 100, 100, "小兔"))
    latin = "story (machine) \\ é".encode("cp1252").hex()
    assert f"/F1 8 Tf 0.00 0.00 Td <{latin}> Tj" in content
    assert f"/F2 8 Tf 0.00 9.00 Td <{'小兔 乖乖'.encode('utf-16-be').hex()}> Tj" in content


@pytest.mark.skipif(
    not (shutil.which("pdftoppm") and shutil.which("zbarimg")),
    reason="poppler-utils and zbar-tools",
)
def test_a_camera_reads_each_label(tmp_path: Path) -> None:
    (tmp_path / "labels.pdf").write_bytes(sheets([label(n) for n in range(1, 5)], "batch"))

    def run(*words: object) -> str:
        command = [str(word) for word in words]
        return subprocess.run(
            command, check=True, capture_output=True, timeout=60, cwd=tmp_path, text=True
        ).stdout

    run("pdftoppm", "-r", "100", "-png", "labels.pdf", "page")
    read = run("zbarimg", "-q", "--raw", "--nodbus", *tmp_path.glob("page*.png"))
    assert sorted(read.split()) == [pairing_text(f"{n:014x}", TOKEN) for n in range(1, 5)]
