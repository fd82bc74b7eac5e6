"""Downloads from Debian's nginx."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ota.errors import ContentError, FetchError
from ota.fetch.source import DownloadSettings, Source
from ota.fetch.whole import download
from tests.ota.fetch.rig import DATA, SHA256, fetch
from tests.ports import free_port

# Debian's path, and the one to which tools/setup.sh unpacks it.
NGINX_PATH = f"/usr/sbin:{Path(__file__).parents[3]}/build/nginx/usr/sbin"


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[str]:
    """Run Debian's nginx, serving tmp_path/www with a rate limit, and an address that redirects to it."""
    if (program := shutil.which("nginx", path=NGINX_PATH)) is None:
        pytest.skip("Debian's nginx is missing: make setup fetches it")
    port = free_port()
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
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        assert process.poll() is None, (tmp_path / "error.log").read_text()
        (tmp_path / "www" / "p.tar.gz").write_bytes(DATA)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class TestNginx:
    @pytest.mark.parametrize("path", ["p.tar.gz", "moved/p.tar.gz", "plain/p.tar.gz"])
    def test_whole(self, nginx: str, tmp_path: Path, path: str) -> None:
        assert fetch(f"{nginx}/{path}", tmp_path / "d").path.read_bytes() == DATA

    @pytest.mark.parametrize("path", ["p.tar.gz", "plain/p.tar.gz"])
    def test_resumed(self, nginx: str, tmp_path: Path, path: str) -> None:
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
        assert min(seen_first) == have  # without ranges too, it is passed over

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
