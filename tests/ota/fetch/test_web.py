"""The HTTP client: redirects, Retry-After, and what its messages show."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError, FetchError
from ota.fetch.source import WebSettings
from ota.fetch.web import Web, follow, parse_retry_after, show_url
from tests import pki
from tests.ota.fetch.rig import DATA, DownloadRig, Fault, cut_at, fetch

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


def lead_to(location: str, code: int = 302) -> Fault:
    return lambda handler, _data, _start: handler.answer(code, b"", [("Location", location)])


def behind_tls(server: Any, folder: Path) -> tuple[Path, str]:
    """Put ``server`` behind TLS; return the file with its CA, and the package's URL."""
    key = pki.make_key()
    root = pki.authority("root", key)
    context = pki.server_context(pki.server(("root", key)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    (server.root / "p.tar.gz").write_bytes(DATA)
    (folder / "ca.pem").write_text(pki.pem_of(root))
    return folder / "ca.pem", server.url.replace("http:", "https:") + "/p.tar.gz"


@contextlib.contextmanager
def leading_to(url: str) -> Iterator[str]:
    """Run a network that answers each plain request by a redirect to ``url``; gives an address behind it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", url)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as network:
        thread = threading.Thread(target=network.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{network.server_address[1]}/p.tar.gz"
        finally:
            network.shutdown()
            thread.join()


class TestRedirects:
    @pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
    def test_one_is_followed(self, server: Any, url: str, tmp_path: Path, code: int) -> None:
        server.script.append(lead_to("/p.tar.gz", code))
        assert fetch(url, tmp_path / "d").path.read_bytes() == DATA

    def test_a_resumed_download_asks_the_new_place_for_the_rest(
        self, server: Any, url: str, tmp_path: Path
    ) -> None:
        server.script.extend([cut_at(500_000), lead_to("/p.tar.gz")])
        assert fetch(url, tmp_path / "d").path.read_bytes() == DATA
        asked = [asked for _path, asked in server.requests]
        assert asked[0] is None
        assert asked[1] == asked[2] != None  # noqa: E711  # both, and a range

    @pytest.mark.parametrize("location", ["/p.tar.gz", "file:///etc/passwd", "ftp://h/p", "//["])
    def test_a_log_in_that_leads_round_or_nowhere_passes(
        self, server: Any, url: str, tmp_path: Path, location: str
    ) -> None:
        """A network that sets a cookie and leads back, to a client that keeps none; then somebody logs in."""
        server.script.extend([lead_to(location)] * (6 if location == "/p.tar.gz" else 1))
        assert fetch(url, tmp_path / "d").path.read_bytes() == DATA
        assert not server.script

    def test_a_loop_for_good_ends_within_the_attempts(
        self, server: Any, url: str, tmp_path: Path
    ) -> None:
        server.script.extend([lead_to("/p.tar.gz")] * 99)
        match = (
            r"bad redirect: .* one too many \(does the network want a log-in\?\) \(gave up after 3"
        )
        with pytest.raises(FetchError, match=match):
            fetch(url, tmp_path / "d")
        assert len(server.requests) == 3 * 6

    @pytest.mark.parametrize("location", ["/p.tar.gz", "ftp://h/p", "http://127.0.0.1:1/p.tar.gz"])
    def test_a_server_that_proved_its_name_is_taken_at_its_word(
        self, server: Any, tmp_path: Path, location: str
    ) -> None:
        ca_file, url = behind_tls(server, tmp_path)
        server.script.extend([lead_to(location)] * 9)
        with pytest.raises(ContentError, match="bad redirect"):
            fetch(url, tmp_path / "d", web=WebSettings(60, 60, ca_file=ca_file))
        assert len(server.requests) in {1, 6}

    def test_a_loop_behind_tls_that_was_reached_by_plain_http_passes(
        self, server: Any, tmp_path: Path
    ) -> None:
        """The log-in page's own host, and its own valid certificate."""
        ca_file, url = behind_tls(server, tmp_path)
        server.script.extend([lead_to("/p.tar.gz")] * 9)
        with (
            leading_to(url) as network,
            Web(WebSettings(60, 60, ca_file=ca_file)) as web,
            pytest.raises(FetchError, match="one too many"),
        ):
            web.get(network, redirects=5)
        assert len(server.requests) == 5

    def test_never_out_of_tls(self) -> None:
        with pytest.raises(ContentError, match="out of TLS"):
            follow("https://h/a", "http://h/a", 5)
        assert follow("https://h/a", "/b", 5) == "https://h/b"
        assert follow("http://h/a", "https://h/b", 5) == "https://h/b"

    @pytest.mark.parametrize(
        ("sent", "path"),
        [
            ("/小熊 1.0.tar.gz".encode(), "/小熊 1.0.tar.gz"),
            (b"/%E7%86%8A", "/%E7%86%8A"),
            (b"/caf\xe9", "/café"),
        ],
    )
    def test_a_name_that_is_sent_as_it_is(self, sent: bytes, path: str) -> None:
        """As http.client hands its bytes over."""
        assert follow("http://h/a", sent.decode("latin-1"), 5) == f"http://h{path}"

    def test_the_message_shows_no_secret(self) -> None:
        with pytest.raises(ContentError) as caught:
            follow("https://h/a?token=1", "http://u:pass@h/a?key=2", 5)
        assert "pass" not in str(caught.value)
        assert "key" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("120", None, 120.0),
        ("Sun, 22 Nov 2026 10:02:00 GMT", DATE, 120.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", DATE, 0.0),
        ("Sun, 22 Nov 2026 10:02:00 GMT", None, None),
        ("soon", DATE, None),
        ("-5", DATE, None),
        (" 120\t", DATE, 120.0),
        ("12\x1f", DATE, None),
        ("\x1c12", None, None),
        ("٣", DATE, None),
        ("9999999999", DATE, None),
        (None, DATE, None),
    ],
)
def test_the_wait_that_a_server_asks_for(
    value: str | None, date: str | None, seconds: float | None
) -> None:
    assert parse_retry_after(value, date) == seconds


def test_messages_show_no_secret_of_a_url() -> None:
    assert show_url("https://user:pass@h.example/a/b?token=t#f") == "https://h.example/a/b"


def hint_first(handler: Any, data: bytes, start: int) -> None:
    """Answer behind a 103 (RFC 8297) that nobody has asked for; `ota.fetch.pool` passes over it."""
    handler.send_response_only(103)
    handler.send_header("Link", "</style.css>; rel=preload")
    handler.end_headers()
    handler.send_file(data, start)


@pytest.mark.parametrize("secure", [False, True])
def test_a_hint_before_the_answer_is_no_answer(
    server: Any,
    tmp_path: Path,
    secure: bool,  # noqa: FBT001
) -> None:
    rig = DownloadRig(server, tmp_path / "downloads")
    ca, url = behind_tls(server, tmp_path) if secure else (None, rig.source.url)
    rig.script(hint_first)
    web = WebSettings(ca_file=ca, connect_timeout=60, read_timeout=60)
    assert fetch(url, tmp_path / "downloads", web=web).path.read_bytes() == DATA
    assert len(server.requests) == 1


def test_nobody_listens(rig: DownloadRig) -> None:
    with pytest.raises(FetchError, match="refused"):
        rig.run(url="http://127.0.0.1:1/p.tar.gz")


def test_a_url_that_is_none(rig: DownloadRig) -> None:
    with pytest.raises(ContentError, match="bad URL"):
        rig.run(url="http://[/p.tar.gz")


@pytest.mark.parametrize("trusted", [(0, 1), (1, 0), (1,)])
@pytest.mark.parametrize("sent", [(), (0,), (0, 1), (1, 0)])
def test_a_repository_whose_ca_was_renewed_with_its_key(
    server: Any, tmp_path: Path, sent: tuple[int, ...], trusted: tuple[int, ...]
) -> None:
    key = pki.make_key()
    roots = pki.authority("root", key, pki.OVER), pki.authority("root", key)
    context = pki.server_context(pki.server(("root", key)), *(roots[n] for n in sent))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    (server.root / "p.tar.gz").write_bytes(DATA)
    (tmp_path / "ca.pem").write_text(pki.pem_of(*(roots[n] for n in trusted)))
    with Web(WebSettings(60, 60, ca_file=tmp_path / "ca.pem")) as web:
        with web.get(server.url.replace("http:", "https:") + "/p.tar.gz") as body:
            assert body.status == 200
        assert web.chain_end == pki.VALID[1].replace(microsecond=0).timestamp()
