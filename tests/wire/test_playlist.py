"""m3u and pls lists as they are found, and bytes that only look like them."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import playlist
from wire.entries import Entry, PlaylistError
from wire.media import HEAD_SIZE
from wire.playlist import Listing, ListKind, find_kind, parse_list

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TITLE_CHARACTERS = 200
ENTRIES_LIMIT = 500
URL_BYTES = 4_096
LIST_BYTES = 2_097_152

BASE = "http://stories.example/lists/tonight.m3u?token=1"
AT = "http://stories.example"


def m3u(text: str | bytes) -> Listing:
    data = text.encode() if isinstance(text, str) else text
    return parse_list(ListKind.M3U, data, BASE)


@pytest.mark.parametrize(
    ("head", "content_type", "kind"),
    [
        (b"#EXTM3U\nhttp://h/a.mp3", "", ListKind.M3U),
        (b"\xef\xbb\xbf  \r\n#extm3u8\n", "audio/mpeg", ListKind.M3U),
        (b"#EXTINF:1,a\na.mp3", "text/plain", ListKind.M3U),
        (b"https://h/a.mp3\nhttps://h/b.mp3", "text/plain", ListKind.M3U),
        (b"a.mp3\nb.mp3\n", "audio/x-mpegurl; charset=utf-8", ListKind.M3U),
        (b"a.mp3\nb.mp3\n", "Application/VND.apple.MPEGURL", ListKind.M3U),
        ("#EXTM3U\nh".encode("utf-16"), "", ListKind.M3U),
        (b"01 a.mp3\r\n02%20b.OGG?x=1\r\n", "application/octet-stream", ListKind.M3U),
        (b"# made by ls\n\n\xc4\xe3 1.mp3\n", "text/plain", ListKind.M3U),
        (b"a.mp3\n" * 1000 + b"b", "", ListKind.M3U),
        (b"a.mp3\nis not there any more\n", "text/plain", ListKind.OTHER),
        (b"# nothing\n", "text/plain", ListKind.OTHER),
        (b"[PlayList]\nFile1=http://h/a", "", ListKind.PLS),
        (b"File1=http://h/a", "audio/x-scpls", ListKind.PLS),
        (b'<?xml version="1.0"?>\n<rss version="2.0">', "", ListKind.FEED),
        (b'<?xml version="1.0"?><!-- c --><feed xmlns="x">', "", ListKind.FEED),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\na.ts", "", ListKind.HLS),
        (b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8", "", ListKind.HLS),
        (b"<!doctype html><html>rss", "audio/mpeg", ListKind.OTHER),
        (b"Not found here, sorry. " * 40, "audio/mpeg", ListKind.OTHER),
        (b"PK\x03\x04" + bytes(100), "audio/mpeg", ListKind.OTHER),
        (b"\xff\xfb\x90\x64" + bytes(400), "audio/x-mpegurl", None),
        (b"ID3\x04" + bytes(400), "application/rss+xml", None),
        (b"RIFF" + bytes(400), "", None),
        (b"", "audio/mpeg", None),
    ],
)
def test_what_a_body_is(head: bytes, content_type: str, kind: ListKind | None) -> None:
    assert find_kind(head, content_type) is kind


def test_an_m3u_with_titles_lengths_and_relative_addresses() -> None:
    listing = m3u(
        '#EXTM3U\n#EXTINF:65.5 tvg-name="a, b",Die Bremer\tStadtmusikanten\nhttp://h/1.mp3\n'
        "\n#EXTINF:-1,电台\r\n../radio?x=1#part\r\n# a remark\n/third%20story.mp3\rfourth.ogg"
    )
    assert listing == Listing((
        Entry("Die Bremer Stadtmusikanten", "http://h/1.mp3", 65.5),
        Entry("电台", f"{AT}/radio?x=1#part"),
        Entry("third story", f"{AT}/third%20story.mp3"),
        Entry("fourth", f"{AT}/lists/fourth.ogg"),
    ))  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "file:///etc/passwd", "C:\\music\\a.mp3", "rtsp://h/a", "edl://x", "data:audio/wav,x",
        "javascript:1", "http://", "http://[::1", "http://h:port/a".replace("port", "9" * 9),
        "https:///a", "http://h/" + "x" * URL_BYTES, "lavf://http://h/a", "memory://x",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_left_out_and_counted(line: str) -> None:
    listing = m3u(f"{line}\nhttp://h/a.mp3\n")
    assert [entry.url for entry in listing.entries] == ["http://h/a.mp3"]
    assert listing.left_out == 1
    with pytest.raises(PlaylistError, match="1 entries are no http"):
        m3u(f"#EXTM3U\n{line}\n")


def test_a_pls_in_the_order_of_its_numbers() -> None:
    text = (
        "[playlist]\nNumberOfEntries=3\nFile10=http://h/c\nFile2 = b.mp3\nTitle2= Zwei \nLength2=-1\n"
        "file1=HTTP://h/a.mp3\nLength1=61\nTitle9=nothing\nVersion=2\n"
    )
    assert parse_list(ListKind.PLS, text.encode(), BASE).entries == (
        Entry("a", "HTTP://h/a.mp3", 61.0),
        Entry("Zwei", f"{AT}/lists/b.mp3"),
        Entry("c", "http://h/c"),
    )


@pytest.mark.parametrize(
    "data",
    [
        "Märchen".encode(),
        b"\xef\xbb\xbf" + "Märchen".encode(),
        "Märchen".encode("latin-1"),
        "Märchen".encode("utf-16"),
    ],
)
def test_titles_in_the_encodings_that_lists_have(data: bytes) -> None:
    head, tail = "#EXTINF:1,", "\nhttp://h/a\n"
    if data[:2] == b"\xff\xfe":
        listing = m3u(f"{head}Märchen{tail}".encode("utf-16"))
    else:
        listing = m3u(head.encode() + data + tail.encode())
    assert listing.entries[0].title.lstrip("\ufeff") == "Märchen"


def test_chinese_titles_in_gb2312() -> None:
    listing = m3u("#EXTINF:1,小兔子乖乖\nhttp://h/a\n".encode("gb2312"))
    assert listing.entries[0].title == "小兔子乖乖"


def test_a_title_that_could_forge_a_line_is_cleaned_and_cut() -> None:
    listing = m3u(f"#EXTINF:1,a\x1b[31m\u202eb{'x' * 900}\nhttp://h/a\n")
    assert listing.entries[0].title == ("a\ufffd[31m\ufffdb" + "x" * 900)[:TITLE_CHARACTERS]


def test_a_list_of_20000_keeps_500_and_counts_the_rest() -> None:
    listing = m3u("".join(f"http://h/{number}\n" for number in range(20_000)))
    assert len(listing.entries) == ENTRIES_LIMIT
    assert listing.left_out == 20_000 - ENTRIES_LIMIT


def test_a_list_beyond_the_bound_is_cut_at_a_whole_line() -> None:
    body = b"#EXTM3U\n" + b"http://h/" + b"x" * 2000 + b"\n"
    body += b"#" * (LIST_BYTES - len(body) - 12) + b"\nhttp://h/story-that-goes-on\n"
    listing = m3u(body)
    assert listing.cut
    assert len(listing.entries) == 1


def test_the_memory_of_a_hostile_list_is_bounded() -> None:
    body = b"#EXTINF:1,\xe4\nhttp://h/a\n" * (LIST_BYTES // 24)
    tracemalloc.start()
    try:
        m3u(body)
        assert tracemalloc.get_traced_memory()[1] < 6 * LIST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [ListKind.HLS, ListKind.OTHER])
def test_what_is_no_list_is_refused_by_name(kind: ListKind) -> None:
    with pytest.raises(PlaylistError, match=kind.value):
        parse_list(kind, b"#EXTM3U\nhttp://h/a", BASE)


def test_hls_behind_the_head_is_refused() -> None:
    body = "#EXTM3U\n" + "#\n" * HEAD_SIZE + "#EXT-X-MEDIA-SEQUENCE:1\nhttp://h/a\n"
    with pytest.raises(PlaylistError, match="HLS"):
        m3u(body)


@given(st.sampled_from([ListKind.M3U, ListKind.PLS]), st.binary(max_size=400))
def test_no_bytes_break_the_reader(kind: ListKind, data: bytes) -> None:
    try:
        listing = parse_list(kind, data, BASE)
    except PlaylistError:
        return
    for entry in listing.entries:
        assert entry.title
        assert entry.url.lower().startswith(("http://", "https://"))


LINES = st.sampled_from([
    "#EXTM3U", "#EXTINF:1,t", "#EXTINF:,", '#EXTINF:1 a="', "http://h/a", "http://[", "//h/b", "?q", "#",
    "File1=http://h/a", "File1=", "Title1=t", "Length1=1e9", "[playlist]", "\x00", "\ud7ff", "é",
])  # fmt: skip


@given(st.lists(LINES, max_size=12), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_lines_of_lists_in_any_order(lines: list[str], encoding: str) -> None:
    data = "\n".join(lines).encode(encoding, "replace")
    for kind in (ListKind.M3U, ListKind.PLS):
        try:
            listing = parse_list(kind, data, BASE)
        except PlaylistError:
            continue
        assert all(entry.url.startswith("http://") for entry in listing.entries)


@given(st.binary(max_size=300), st.text(max_size=30))
def test_any_bytes_are_of_some_kind(head: bytes, content_type: str) -> None:
    assert find_kind(head, content_type) in {None, *ListKind}


def test_of_a_pls_without_an_end_so_many_entries_are_kept_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(playlist, "_PLS_LIMIT", 2)
    lines = ["File2=b", "File1=a", "File3=c", "Title3=t", "Title1=u", "Title2=v", "File4=d"]
    assert list(playlist.parse_pls(lines)) == [
        ("a", "u", None), ("b", "", None), ("", "", None), ("", "", None)
    ]  # fmt: skip
