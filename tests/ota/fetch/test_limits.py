"""The limits of a download: redirects, Retry-After, the data budget; also against nginx."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError, FetchError
from ota.fetch.folder import discard
from ota.fetch.partial import Downloaded
from ota.fetch.retry import Attempts, RetryLaterError, RetryPolicy
from ota.fetch.source import DownloadSettings, Source
from ota.fetch.spent import Spent
from ota.fetch.web import WebSettings, follow, parse_retry_after
from ota.fetch.whole import download

DATA = bytes(range(256)) * 8000
SHA256 = hashlib.sha256(DATA).hexdigest()
FAST = RetryPolicy(attempts=3, total=20, first=0.001, longest=0.002)
Fault = Callable[[Any, bytes, int], None]


def fetch(url: str, folder: Path, *, budget: int | None = None, **changes: Any) -> Downloaded:
    web = WebSettings(connect_timeout=5, read_timeout=5)
    settings = replace(DownloadSettings(web=web, retry=FAST), **changes)
    source = Source(url, len(DATA), SHA256, budget)
    return download(source, folder, settings, threading.Event(), lambda _done, _all: None)


@pytest.fixture
def url(server: Any) -> str:
    (server.root / "p.tar.gz").write_bytes(DATA)
    return f"{server.url}/p.tar.gz"


def cut_at(size: int) -> Fault:
    return lambda handler, data, start: handler.send_file(data, start, cut=size)


def lead_to(location: str, code: int = 302) -> Fault:
    return lambda handler, _data, _start: handler.answer(code, b"", [("Location", location)])


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

    def test_a_loop_ends(self, server: Any, url: str, tmp_path: Path) -> None:
        server.script.extend([lead_to("/p.tar.gz")] * 9)
        with pytest.raises(ContentError, match=r"bad redirect: .* one too many"):
            fetch(url, tmp_path / "d")
        assert len(server.requests) == 6

    @pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://h/p", "//["])
    def test_nowhere_but_http(self, server: Any, url: str, tmp_path: Path, location: str) -> None:
        server.script.append(lead_to(location))
        with pytest.raises(ContentError, match="bad redirect"):
            fetch(url, tmp_path / "d")

    def test_never_out_of_tls(self) -> None:
        with pytest.raises(ContentError, match="out of TLS"):
            follow("https://h/a", "http://h/a", 5)
        assert follow("https://h/a", "/b", 5) == "https://h/b"
        assert follow("http://h/a", "https://h/b", 5) == "https://h/b"

    def test_the_message_shows_no_secret(self) -> None:
        with pytest.raises(ContentError) as caught:
            follow("https://h/a?token=1", "http://u:pass@h/a?key=2", 5)
        assert "pass" not in str(caught.value)
        assert "key" not in str(caught.value)


class TestRetryAfter:
    DATE = "Sun, 22 Nov 2026 10:00:00 GMT"

    @pytest.mark.parametrize(
        ("value", "date", "seconds"),
        [
            ("120", None, 120.0),
            ("Sun, 22 Nov 2026 10:02:00 GMT", DATE, 120.0),
            ("Sun, 22 Nov 2026 09:00:00 GMT", DATE, 0.0),
            ("Sun, 22 Nov 2026 10:02:00 GMT", None, None),
            ("soon", DATE, None),
            ("-5", DATE, None),
            (None, DATE, None),
        ],
    )
    def test_what_it_asks_for(
        self, value: str | None, date: str | None, seconds: float | None
    ) -> None:
        assert parse_retry_after(value, date) == seconds

    @pytest.mark.parametrize("code", [429, 503])
    def test_a_server_is_left_alone_as_long_as_it_asks_but_not_for_ever(
        self, server: Any, url: str, tmp_path: Path, code: int
    ) -> None:
        asked = [("Retry-After", "86400")]
        server.script.append(lambda handler, _d, _s: handler.answer(code, b"", asked))
        policy = RetryPolicy(attempts=3, first=0.001, longest=0.002, longest_asked=0.05)
        began = time.monotonic()
        assert fetch(url, tmp_path / "d", retry=policy).path.read_bytes() == DATA
        assert time.monotonic() - began >= 0.05  # the minimum of a wait, on any machine

    def test_it_is_never_less_than_our_own_back_off(self) -> None:
        waits: list[float] = []

        class Stop(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                waits.append(timeout or 0.0)
                return False

        attempts = Attempts(RetryPolicy(first=10.0), Stop())
        attempts.failed(RetryLaterError("x", 1.0))
        attempts.failed(RetryLaterError("x", 50.0))
        assert 5.0 <= waits[0] <= 10.0
        assert waits[1] == 50.0


class TestBudget:
    def test_bytes_end_it(self, server: Any, url: str, tmp_path: Path) -> None:
        def plain(handler: Any, data: bytes, _start: int) -> None:  # no ETag: starts over each time
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(data[:-1])
            handler.break_off()

        server.script.extend([plain] * 9)
        with pytest.raises(ContentError, match=r"budget: spent \d+ bytes in 3 requests, 5000000 "):
            fetch(url, tmp_path / "d", budget=5_000_000, retry=RetryPolicy(first=0.001))

    def test_a_release_that_says_nothing_may_cost_some_times_its_length(
        self, server: Any, url: str, tmp_path: Path
    ) -> None:
        server.script.extend([cut_at(len(DATA) - 1)] * 1)
        with pytest.raises(ContentError, match="budget"):
            fetch(url, tmp_path / "d", budget_factor=0.5)
        discard(tmp_path / "d")
        assert fetch(url, tmp_path / "d").path.exists()

    def test_restarts_do_not_renew_it(self, server: Any, url: str, tmp_path: Path) -> None:
        settings: dict[str, Any] = {"retry": RetryPolicy(attempts=1), "budget_attempts": 4}
        for _ in range(4):
            server.script.append(cut_at(100_000))
            with pytest.raises(FetchError, match="gave up after 1 attempt"):
                fetch(url, tmp_path / "d", **settings)
        with pytest.raises(ContentError, match=r"budget: .* in 4 requests"):
            fetch(url, tmp_path / "d", **settings)
        assert len(server.requests) == 4

    def test_a_new_order_begins_afresh(self, server: Any, url: str, tmp_path: Path) -> None:
        server.script.append(cut_at(100_000))
        once: dict[str, Any] = {"retry": RetryPolicy(attempts=1), "budget_attempts": 1}
        with pytest.raises(FetchError):
            fetch(url, tmp_path / "d", **once)
        discard(tmp_path / "d")
        assert fetch(url, tmp_path / "d", **once).path.exists()

    def test_bytes_are_on_disk_before_the_end(self, tmp_path: Path) -> None:
        Spent(tmp_path / "s", 2**40, 5).attempt()
        spent = Spent(tmp_path / "s", 2**40, 5)
        spent.take(3 * 2**20)
        spent.take(3 * 2**20)
        with pytest.raises(ContentError, match=f"spent {6 * 2**20} bytes in 1 requests"):
            Spent(tmp_path / "s", 100, 5).attempt()

    def test_a_damaged_count_begins_afresh(self, tmp_path: Path) -> None:
        (tmp_path / "s").write_text('{"attempts": -5}')
        Spent(tmp_path / "s", 10, 1).attempt()


def test_it_goes_on_at_another_address(server: Any, url: str, tmp_path: Path) -> None:
    server.script.append(cut_at(500_000))
    with pytest.raises(FetchError):
        fetch(url, tmp_path / "d", retry=RetryPolicy(attempts=1))
    have = (tmp_path / "d" / f"{SHA256}.part").stat().st_size
    server.requests.clear()
    other = url.replace("127.0.0.1", "localhost")
    assert fetch(other, tmp_path / "d").path.read_bytes() == DATA
    assert [asked for _path, asked in server.requests] == [f"bytes={have}-"]


# Debian's path, and the one to which tools/setup.sh unpacks it.
NGINX_PATH = f"/usr/sbin:{Path(__file__).parents[3]}/build/nginx/usr/sbin"


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[str]:
    """Run Debian's nginx, serving tmp_path/www with a rate limit, and an address that redirects to it."""
    if (program := shutil.which("nginx", path=NGINX_PATH)) is None:
        pytest.skip("Debian's nginx is missing: make setup fetches it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "www").mkdir()
    (tmp_path / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;
events {{}}
http {{
  access_log {tmp_path}/access.log;
  client_body_temp_path {tmp_path}/t1; proxy_temp_path {tmp_path}/t2; fastcgi_temp_path {tmp_path}/t3;
  uwsgi_temp_path {tmp_path}/t4; scgi_temp_path {tmp_path}/t5;
  limit_req_zone $uri zone=busy:1m rate=2r/m;
  server {{
    listen 127.0.0.1:{port}; root {tmp_path}/www;
    location /moved/ {{ return 302 http://127.0.0.1:{port}/p.tar.gz; }}
    location /gone/ {{ return 410; }}
    location /busy/ {{ limit_req zone=busy; alias {tmp_path}/www/; }}
    location /plain/ {{ max_ranges 0; alias {tmp_path}/www/; }}
  }}
}}""")
    process = subprocess.Popen([program, "-c", tmp_path / "nginx.conf", "-p", tmp_path])
    try:
        for _ in range(250):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        (tmp_path / "www" / "p.tar.gz").write_bytes(DATA)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class TestNginx:
    @pytest.mark.parametrize("path", ["p.tar.gz", "moved/p.tar.gz", "plain/p.tar.gz"])
    def test_whole(self, nginx: str, tmp_path: Path, path: str) -> None:
        assert fetch(f"{nginx}/{path}", tmp_path / "d").path.read_bytes() == DATA

    @pytest.mark.parametrize(
        ("path", "from_start"), [("p.tar.gz", False), ("plain/p.tar.gz", True)]
    )
    def test_resumed_with_its_etag(
        self, nginx: str, tmp_path: Path, path: str, *, from_start: bool
    ) -> None:
        stop = threading.Event()
        source = Source(f"{nginx}/{path}", len(DATA), SHA256)

        def seen(done: int, _total: int) -> None:
            if done > 100_000:
                stop.set()

        settings = DownloadSettings(max_rate=2**30)
        with pytest.raises(Exception, match="stopped"):
            download(source, tmp_path / "d", settings, stop, seen)
        part = tmp_path / "d" / f"{SHA256}.part"
        have = part.stat().st_size
        assert 0 < have < len(DATA)
        seen_first: list[int] = []
        done = download(
            source,
            tmp_path / "d",
            settings,
            threading.Event(),
            lambda here, _all: seen_first.append(here),
        )
        assert done.path.read_bytes() == DATA
        assert (seen_first[1] < have) == from_start

    def test_a_file_that_was_replaced_starts_over(self, nginx: str, tmp_path: Path) -> None:
        folder = tmp_path / "d"
        fetch(f"{nginx}/p.tar.gz", folder)
        part = folder / f"{SHA256}.part"
        part.write_bytes(b"of another file" * 1000)
        newer = tmp_path / "www" / "p.tar.gz"
        newer.write_bytes(DATA)
        import os

        os.utime(newer, (1, 1))  # another ETag
        assert fetch(f"{nginx}/p.tar.gz", folder).path.read_bytes() == DATA

    def test_gone_is_final(self, nginx: str, tmp_path: Path) -> None:
        with pytest.raises(ContentError, match="HTTP 410"):
            fetch(f"{nginx}/gone/p.tar.gz", tmp_path / "d")

    def test_its_503_when_busy_passes(self, nginx: str, tmp_path: Path) -> None:
        fetch(f"{nginx}/busy/p.tar.gz", tmp_path / "d")
        with pytest.raises(FetchError, match="HTTP 503"):
            fetch(f"{nginx}/busy/p.tar.gz", tmp_path / "e")
