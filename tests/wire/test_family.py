"""What cloud and device tell each other about a family: read back as written, and refused by the member's name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.family import KEY_VOICE_ERASE, Family, Spoken, erase_report, parse_erase, parse_family
from wire.fields import INT64_MAX
from wire.reports import report_payload

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
DAYS_MAX = 36_500
ERASE_LIMIT = 20

TOKEN = "6dd5790b2163a0132e6c65c6dd6f9ef2"


@given(
    st.builds(
        Family,
        st.none() | st.just(TOKEN),
        st.none() | st.integers(0, INT64_MAX),
        st.none() | st.integers(0, DAYS_MAX),
    )
)
def test_a_family_is_read_as_it_was_written(family: Family) -> None:
    assert parse_family(family.to_payload()) == family
    assert TOKEN not in repr(family)


@pytest.mark.parametrize(
    ("payload", "member"),
    [
        (b"[]", "family"),
        (b'{"bindToken": "abc"}', "bindToken"),
        (b'{"bindToken": 5}', "bindToken"),
        (b'{"bindToken": null}', "bindToken"),
        (b'{"since": -1}', "since"),
        (b'{"since": 1e9}', "since"),
        (b'{"voiceDays": true}', "voiceDays"),
        (b'{"voiceDays": 36501}', "voiceDays"),
        (b"\xff", "family"),
    ],
)
def test_what_is_wrong_is_named_and_no_token_is_shown(payload: bytes, member: str) -> None:
    with pytest.raises(WireError, match=member) as caught:
        parse_family(payload)
    assert "abc" not in str(caught.value)


def test_utterances_to_erase_are_read_as_written_and_fit_into_one_message() -> None:
    spoken = [Spoken(109_999, INT64_MAX)] * (ERASE_LIMIT + 5)
    report = erase_report(spoken)
    assert parse_erase(report[KEY_VOICE_ERASE]) == tuple(spoken[:ERASE_LIMIT])
    assert len(report_payload(report)) < 1500  # of 2,048 bytes, with query and frame


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"utterances": []},
        {"utterances": [{"id": 1, "at": 2}] * (ERASE_LIMIT + 1)},
        {"utterances": [1]},
        {"utterances": [{"id": "1", "at": 2}]},
        {"utterances": [{"id": 1}]},
    ],
)
def test_what_is_no_list_of_utterances_is_refused(value: object) -> None:
    with pytest.raises(WireError, match="voice_erase"):
        parse_erase(value)
