"""Which links a query finds (RFC 6690 section 4.1): a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.links import Link, format_links

LINKS = [
    Link("volume", (("rt", "story-agent.data-point level"), ("ct", "0"), ("obs", None))),
    Link("play", (("rt", "story-agent.data-point"), ("if", "core.p"), ("ct", "0"))),
    Link("resource", (("rt", "story-agent.description"), ("ct", "50"), ("title", "what is here"))),
]


def test_a_link_is_written_as_the_standard_says() -> None:
    assert str(LINKS[0]) == '</volume>;rt="story-agent.data-point level";ct=0;obs'
    assert format_links([]) == b""
    assert format_links(LINKS).count(b",</") == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ((), "volume play resource"),
        (("rt=story-agent.data-point",), "volume play"),
        (("rt=level",), "volume"),
        (("rt=story-agent.data-point level",), ""),
        (("rt=story-agent.*",), "volume play resource"),
        (("rt=*",), "volume play resource"),
        (("rt=lev*",), "volume"),
        (("rt=Level",), ""),
        (('rt="level"',), "volume"),
        (("rt=",), ""),
        (("if=core.p",), "play"),
        (("if=core*",), "play"),
        (("if=*",), "play"),
        (("ct=0",), "volume play"),
        (("ct=50",), "resource"),
        (("ct=5*",), "resource"),
        (("href=/play",), "play"),
        (("href=/p*",), "play"),
        (("href=play",), ""),
        (("href=*",), "volume play resource"),
        (("title=what is*",), "resource"),
        (("title=what",), ""),
        (("obs=*",), "volume"),
        (("none=*",), ""),
        (("rt=story-agent.*", "ct=0"), "volume play"),
        (("rt=story-agent.*", "ct=0", "href=/v*"), "volume"),
    ],
)
def test_a_query_finds(query: tuple[str, ...], found: str) -> None:
    told = format_links(LINKS, query).decode()
    assert [part.partition(">")[0].removeprefix("</") for part in told.split(",") if part] == (
        found.split()
    )


@pytest.mark.parametrize("query", ["rt", "", "=x"])
def test_what_is_no_query_is_said_so(query: str) -> None:
    with pytest.raises(WireError, match=r"query: got .*expected an attribute and a pattern"):
        format_links(LINKS, (query,))


@given(st.lists(st.text(max_size=8), max_size=3))
def test_any_query_finds_some_of_the_links_or_is_refused(query: list[str]) -> None:
    try:
        told = format_links(LINKS, query)
    except WireError:
        return
    assert len(told) <= len(format_links(LINKS))
