"""Pages of text and QR codes as PDF 1.4: objects, a table of their places, and nothing of layout.

Written by hand because that is all a sheet of labels needs: reportlab would bring Pillow, 25 MB, for the same bytes.
Latin text is Helvetica; other text is a Chinese font that PDF readers bring along (Adobe-GB1), so no font is embedded.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

MILLIMETRE = 72 / 25.4
"""In points, PDF's unit."""
_LATIN, _CHINESE = "F1", "F2"
_FONTS = (
    b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light-UniGB-UTF16-H /Encoding /UniGB-UTF16-H"
        b" /DescendantFonts [<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light"
        b" /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >>"
        b" /FontDescriptor << /Type /FontDescriptor /FontName /STSong-Light /Flags 6"
        b" /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>"
        b" >>] >>"
    ),
)


@dataclass(slots=True)
class Page:
    """What is on a page; places are in points from its lower left corner."""

    parts: list[bytes] = field(default_factory=list)

    def text(self, x: float, y: float, size: float, text: str) -> None:
        """Write one line; its left end is at ``x``, its base line at ``y``."""
        shown = "".join(c if c.isprintable() else " " for c in text)
        font, coded = _coded(shown)
        self.parts.append(
            f"BT /{font} {size:g} Tf {x:.2f} {y:.2f} Td {coded} Tj ET".encode("ascii")
        )

    def squares(self, x: float, y: float, side: float, rows: Sequence[Sequence[int]]) -> None:
        """Draw dark modules (1) of a square code; ``side`` in points, rows from the top."""
        count = len(rows)
        bits = b"".join(_packed(row) for row in rows)
        self.parts.append(
            f"q {side:.3f} 0 0 {side:.3f} {x:.2f} {y:.2f} cm BI /W {count} /H {count} /IM true /BPC 1"
            f" /D [1 0] /F /AHx ID {bits.hex()}> EI Q".encode("ascii")
        )


def _coded(text: str) -> tuple[str, str]:
    """Return the font for a text, and the text as PDF has it."""
    try:
        latin = text.encode("cp1252")
    except UnicodeEncodeError:
        return _CHINESE, f"<{text.encode('utf-16-be', 'replace').hex()}>"
    return _LATIN, f"<{latin.hex()}>"


def _packed(row: Sequence[int]) -> bytes:
    """Return a row's bits, 1 is dark, filled up to whole bytes."""
    width = -(-len(row) // 8)
    value = int("".join("1" if module else "0" for module in row), 2)
    return (value << (width * 8 - len(row))).to_bytes(width, "big")


def render(pages: Sequence[Page], width: float, height: float, title: str) -> bytes:
    """Return a PDF of ``pages``, all of one size in points."""
    # 1 catalogue, 2 tree of pages, 3 information, 4 and 5 fonts; then a page and its content in turn.
    first = 6
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(pages)))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} /MediaBox [0 0 {width:.2f} {height:.2f}]"
        " /Resources << /Font << /F1 4 0 R /F2 5 0 R >> >> >>".encode("ascii"),
        f"<< /Title <feff{title.encode('utf-16-be', 'replace').hex()}> >>".encode("ascii"),
        *_FONTS,
    ]
    for number, page in enumerate(pages):
        content = zlib.compress(b"\n".join(page.parts))
        place = first + 2 * number + 1
        bodies += [
            f"<< /Type /Page /Parent 2 0 R /Contents {place} 0 R >>".encode("ascii"),
            f"<< /Length {len(content)} /Filter /FlateDecode >>\nstream\n".encode("ascii")
            + content + b"\nendstream",
        ]  # fmt: skip
    return _assemble(bodies)


def _assemble(bodies: Sequence[bytes]) -> bytes:
    """Number the objects, and add the table of where each begins."""
    data = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(bodies, 1):
        places.append(len(data))
        data += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<< /Size %d /Root 1 0 R /Info 3 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(bodies) + 1, table,
    )  # fmt: skip
    return bytes(data)
