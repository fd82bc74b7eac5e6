"""The four data points equal the document's, byte for byte."""

from __future__ import annotations

import json
from typing import Any

from wire.datapoints import self_description
from wire.story_points import STORY_POINTS


def test_the_four_are_the_documents_to_the_byte(document_description: dict[str, Any]) -> None:
    # As text, so that the order of the keys counts too.
    assert json.dumps(self_description(STORY_POINTS)) == json.dumps(document_description)
