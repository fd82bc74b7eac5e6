"""The speech in the document's example, which the codec must decode."""

from __future__ import annotations

from tests.wire.conftest import document_segments

__all__ = ["document_segments"]
