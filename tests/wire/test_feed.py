"""Podcast feeds: newest first, and no entity of a stranger's XML grows or opens anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.entries import Entry, PlaylistError
from wire.feed import parse_feed, read_date, read_duration
from wire.playlist import Listing, ListKind, parse_list

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
ENTRIES_LIMIT = 500

BASE = "https://pod.example/feeds/kids.xml"


def feed(text: str | bytes, *, cut: bool = False) -> Listing:
    data = text.encode() if isinstance(text, str) else text
    return parse_list(ListKind.FEED, data, BASE, cut=cut)


def rss(*items: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"'
        ' xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'
        ' xmlns:media="http://search.yahoo.com/mrss/"><channel><title>Kids</title>'
        + "".join(f"<item>{item}</item>" for item in items)
        + "</channel></rss>"
    )


def item(title: str, date: str = "", url: str = "") -> str:
    dated = f"<pubDate>{date}</pubDate>" if date else ""
    where = url or f"https://pod.example/{title}.mp3"
    return f'<title>{title}</title>{dated}<enclosure url="{where}" type="audio/mpeg"/>'


def test_the_newest_is_first_and_titles_and_lengths_are_read() -> None:
    listing = feed(
        rss(
            item("old", "Tue, 03 Nov 2026 07:00:00 +0100"),
            "<media:group><media:title>wrong</media:title></media:group>"
            "<title><![CDATA[Räuber & <Co>]]></title><pubDate>Wed, 25 Nov 2026 06:00:00 GMT</pubDate>"
            '<itunes:duration>1:02:03</itunes:duration><enclosure url="../new.mp3" length="5"/>',
            item("middle", "Tue, 10 Nov 2026 07:00:00 +0800"),
        )
    )
    assert listing.entries == (
        Entry("Räuber & <Co>", "https://pod.example/new.mp3", 3723.0),
        Entry("middle", "https://pod.example/middle.mp3"),
        Entry("old", "https://pod.example/old.mp3"),
    )


def test_items_without_a_date_keep_their_place() -> None:
    listing = feed(rss(item("a"), item("b"), item("c")))
    assert [entry.title for entry in listing.entries] == ["a", "b", "c"]
    day = "Wed, 25 Nov 2026 06:00:00 GMT"
    listing = feed(rss(item("a", day), item("b"), item("c", day.replace("25", "24"))))
    assert [entry.title for entry in listing.entries] == ["a", "b", "c"]


def test_an_atom_feed() -> None:
    listing = feed(
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>x</title>'
        "<entry><title>one</title><published>2026-11-01T08:00:00Z</published>"
        '<link rel="alternate" href="https://pod.example/page"/>'
        '<link rel="enclosure" type="audio/ogg" href="one.ogg"/></entry>'
        "<entry><title>two</title><updated>2026-11-01T08:00:00.5-01:00</updated>"
        '<link rel="enclosure" href="https://pod.example/two.ogg"/></entry></feed>'
    )
    assert [(entry.title, entry.url) for entry in listing.entries] == [
        ("two", "https://pod.example/two.ogg"),
        ("one", "https://pod.example/feeds/one.ogg"),
    ]


def test_items_without_sound_are_none_and_pictures_are_not_played() -> None:
    picture = '<enclosure url="https://h/a.jpg" type="image/jpeg"/>'
    listing = feed(
        rss("<title>news</title>", picture, item("b"), item("c", url="file:///etc/passwd"))
    )
    assert [entry.title for entry in listing.entries] == ["b"]
    assert listing.left_out == 1


def test_the_newest_500_of_a_long_feed_are_kept() -> None:
    number = ENTRIES_LIMIT + 40
    dates = [f"2026-01-{1 + n // 24:02}T{n % 24:02}:00:00Z" for n in range(number)]
    items = [item(str(n)) + f"<updated>{date}</updated>" for n, date in enumerate(dates)]
    listing = feed(rss(*items))
    assert [entry.title for entry in listing.entries] == [
        str(n) for n in reversed(range(40, number))
    ]
    assert listing.left_out == 40


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE rss [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE rss SYSTEM "http://10.0.0.1/x.dtd">',
        '<!DOCTYPE rss [<!ENTITY % a SYSTEM "http://10.0.0.1/"> %a;]>',
    ],
)
def test_a_document_type_is_refused_before_anything_in_it_counts(doctype: str) -> None:
    body = rss(item("a")).replace("<rss", f"{doctype}<rss", 1)
    with pytest.raises(PlaylistError, match="document type declaration"):
        feed(body)


def test_an_unknown_entity_is_no_title() -> None:
    with pytest.raises(PlaylistError, match="no XML at line 1"):
        feed(rss(item("&secret;")))


def test_a_million_levels_are_refused() -> None:
    with pytest.raises(PlaylistError, match="64 levels"):
        feed("<rss>" + "<a>" * 500_000)


def test_a_feed_that_is_cut_gives_what_is_complete() -> None:
    whole = rss(item("a"), item("b"), item("c"))
    half = whole[: whole.index("c.mp3")]
    assert [entry.title for entry in feed(half, cut=True).entries] == ["a", "b"]
    assert [entry.title for entry in feed(half + "<&", cut=False).entries] == ["a", "b"]
    with pytest.raises(PlaylistError, match="no XML"):
        feed("<rss><channel>&</channel></rss>")


@pytest.mark.parametrize("encoding", ["gb2312", "GBK", "big5", "utf-16", "iso-8859-1"])
def test_feeds_in_other_encodings(encoding: str) -> None:
    title = {"iso-8859-1": "Märchen", "big5": "小兔子"}.get(encoding, "小兔子")
    body = rss(item("x").replace("<title>x", f"<title>{title}")).replace("UTF-8", encoding, 1)
    assert feed(body.encode(encoding)).entries[0].title == title


def test_an_encoding_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(PlaylistError, match="feed"):
        feed(rss(item("a")).replace("UTF-8", "klingon", 1))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3723", 3723.0), ("62:03", 3723.0), ("1:02:03", 3723.0), (" 5 ", 5.0), ("1:2:3:4", None),
        ("", None), ("an hour", None), ("-5", None), ("12.5", 12.0),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float | None) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("Thu, 01 Jan 1970 00:01:00 GMT", 60.0), ("Thu, 1 Jan 1970 01:01:00 +0100", 60.0),
        ("1970-01-01T00:01:00Z", 60.0), ("1970-01-01 01:01:00+01:00", 60.0),
        ("1969-12-31T23:31:00-0030", 60.0), ("1970-01-02", 86400.0), ("yesterday", None), ("", None),
        ("2026-99-99T99:99:99Z", None), ("Thu, 99 Foo 99999999999999999999 00:00:00 GMT", None),
    ],
)  # fmt: skip
def test_dates(text: str, time: float | None) -> None:
    if text.startswith("2026-99"):
        read_date(text)  # some time or none, but no error
    else:
        assert read_date(text) == time


@given(st.text(max_size=40))
def test_no_date_breaks_the_reader(text: str) -> None:
    read_date(text)
    read_duration(text)


PARTS = st.sampled_from([
    "<rss>", "</rss>", "<item>", "</item>", "<entry>", "</entry>", "<title>t", "</title>", "&amp;", "&x;",
    '<enclosure url="http://h/a"/>', '<enclosure url="http://["/>', "<pubDate>x</pubDate>", "<![CDATA[", "]]>",
    "<!DOCTYPE a>", "<?pi?>", "<!--", "-->", "\x00", "é",
])  # fmt: skip


@given(st.lists(PARTS, max_size=14), st.binary(max_size=20))
def test_no_xml_breaks_the_reader(parts: list[str], tail: bytes) -> None:
    for cut in (False, True):
        try:
            listing = feed("".join(["<rss>", *parts]).encode() + tail, cut=cut)
        except PlaylistError:
            continue
        assert all(entry.url.startswith("http") for entry in listing.entries)


def test_a_tag_without_an_end_is_refused_before_it_is_kept() -> None:
    attributes = b" ".join(b"a%d='x'" % number for number in range(20_000))
    with pytest.raises(PlaylistError, match="a tag of more than 32768 bytes"):
        list(parse_feed(b"<rss><channel><item " + attributes + b"/></channel></rss>", cut=False))


def test_long_notes_are_no_tag() -> None:
    notes = b"words " * 40_000
    for text in (notes, b"<![CDATA[" + notes + b"]]>"):
        feed = (
            b"<rss><channel><item><description>" + text + b"</description>"
            b"<enclosure url='http://h/a.mp3' type='audio/mpeg'/></item></channel></rss>"
        )
        assert [url for url, _, _ in parse_feed(feed, cut=False)] == ["http://h/a.mp3"]
