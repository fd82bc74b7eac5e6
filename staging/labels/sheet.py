"""Sheets of labels: A4, three across and eight down (70 by 37 mm, no gaps: Avery 3474 and its like).

A label has the QR code that binds the machine (`wire.pairing`), its uuid, and the batch with a number for the packer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import segno

from staging.labels.pdf import MILLIMETRE, Page, render
from staging.store.label_rows import Label
from wire.pairing import QR_ERROR, QR_MASK, QR_VERSION, pairing_text

A4 = (210 * MILLIMETRE, 297 * MILLIMETRE)
ACROSS, DOWN = 3, 8
WIDTH, HEIGHT = 70 * MILLIMETRE, 37 * MILLIMETRE
# Millimetres: the code with its quiet zone of four modules, and its distance from the label's edge.
CODE, EDGE = 29.0, 4.0
QUIET = 4


def code_of(label: Label) -> list[list[int]]:
    """Return the modules of a label's code without its quiet zone, rows from the top; 1 is dark."""
    made = segno.make(
        pairing_text(label.uuid, label.bind_token), error=QR_ERROR, mask=QR_MASK, version=QR_VERSION,
        micro=False, boost_error=False,
    )  # fmt: skip
    return [list(row) for row in made.matrix]


def sheets(labels: Sequence[Label], title: str) -> bytes:
    """Return the PDF of all labels."""
    return render(list(_pages(labels)), *A4, title)


def _pages(labels: Sequence[Label]) -> Iterator[Page]:
    for start in range(0, len(labels), ACROSS * DOWN):
        page = Page()
        for place, label in enumerate(labels[start : start + ACROSS * DOWN]):
            row, column = divmod(place, ACROSS)
            _draw(page, column * WIDTH, A4[1] - (row + 1) * HEIGHT - _margin(), label)
        yield page


def _margin() -> float:
    """Return the strip above the first row: eight rows of 37 mm leave 1 mm of A4."""
    return (A4[1] - DOWN * HEIGHT) / 2


def _draw(page: Page, x: float, y: float, label: Label) -> None:
    rows = code_of(label)
    module = CODE * MILLIMETRE / (len(rows) + 2 * QUIET)
    inset = EDGE * MILLIMETRE + QUIET * module
    page.squares(x + inset, y + inset, module * len(rows), rows)
    left, top = x + (EDGE + CODE + 1) * MILLIMETRE, y + HEIGHT
    for down, size, text in (
        (9, 8.0, label.product[:22]),
        (15, 10.0, label.uuid[:7]),
        (20, 10.0, label.uuid[7:]),
        (27, 7.0, label.batch[:24]),
        (31, 7.0, f"{label.number:05d}"),
    ):
        page.text(left, top - down * MILLIMETRE, size, text)
