"""The audit finds advisories about versions that are used, from a file and from the service, and says when it cannot."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tools import audit

VERSIONS = "# all\nFoo_Bar==1.5.0\nother==2.0 ; python_version > '3'\nlast==3.0.1\n"
GITHUB = {"id": "GHSA-x", "aliases": ["CVE-2026-1"], "summary": "reads too much"}


def advisory(
    name: str, *events: dict[str, str], ecosystem: str = "PyPI", **more: Any
) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    package = {"name": name, "ecosystem": ecosystem}
    return GITHUB | {"affected": [{"package": package, "ranges": ranges, **more}]}


@pytest.mark.parametrize(
    ("told", "is_found"),
    [
        (advisory("foo-bar", {"introduced": "0"}, {"fixed": "1.5.1"}), True),
        (advisory("foo.bar", {"introduced": "0"}, {"fixed": "1.5.0"}), False),
        (advisory("foo-bar", {"introduced": "1.5"}), True),
        (advisory("foo-bar", {"introduced": "1.5.0.post1"}), False),
        (advisory("foo-bar", {"introduced": "0"}, {"last_affected": "1.5.0"}), True),
        (advisory("foo-bar", {"introduced": "0"}, {"last_affected": "1.4"}), False),
        # Two branches, of which the events may come in any order.
        (advisory("foo-bar", {"fixed": "1.6"}, {"introduced": "1.5"}, {"fixed": "1.4"}, {"introduced": "0"}), True),
        (advisory("foo-bar", {"introduced": "0"}, {"fixed": "1.4"}, {"introduced": "1.6"}), False),
        (advisory("foo-bar", {"introduced": "0"}, ecosystem="npm"), False),
        (advisory("foo-bar", {"introduced": "0"}) | {"withdrawn": "2026-01-01T00:00:00Z"}, False),
        (advisory("foo-bar", versions=["1.4", "1.5"]), True),
        (advisory("foo-bar", versions=["1.4", "what?"]), False),
        (advisory("bar", {"introduced": "0"}), False),
    ],
)  # fmt: skip
def test_an_advisory_is_about_a_version_or_not(told: dict[str, Any], *, is_found: bool) -> None:
    found = audit.matches(audit.pins(VERSIONS), [told])
    assert [each.id for each in found] == ["GHSA-x"] * is_found


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    path = tmp_path / "versions.txt"
    path.write_text(VERSIONS)
    return path


BAD = advisory("foo-bar", {"introduced": "0"}, {"fixed": "1.5.1"})
GOOD = advisory("last", {"introduced": "0"}, {"fixed": "3.0"}) | {"id": "GHSA-y"}


def test_each_form_of_file_is_read(
    versions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, listed, dump, folder = (
        tmp_path / name for name in ("a.json", "b.json", "all.zip", "many")
    )
    one.write_text(json.dumps(BAD))
    listed.write_text(json.dumps([GOOD, BAD]))
    with zipfile.ZipFile(dump, "w") as archive:
        archive.writestr("GHSA-x.json", json.dumps(BAD))
    folder.mkdir()
    (folder / "good.json").write_text(json.dumps(GOOD))
    for path, code in ((one, 1), (listed, 1), (dump, 1), (folder, 0)):
        assert audit.main(["--versions", str(versions), "--advisories", str(path)]) == code
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "foo-bar 1.5.0: GHSA-x, CVE-2026-1: reads too much; mended in 1.5.1"
    assert told[-1] == f"3 packages, 0 advisories about their versions ({folder})"


@pytest.mark.parametrize("content", ["", "{", "[]", '["x"]', '{"summary": "no id"}', "PK\x03\x04"])
def test_a_file_without_advisories_finds_nothing_out(
    content: str, versions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "told.json"
    path.write_text(content)
    assert audit.main(["--versions", str(versions), "--advisories", str(path)]) == 2
    assert "nothing was found out" in capsys.readouterr().err


def test_no_file_and_no_service_find_nothing_out(
    versions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--versions", str(versions)]
    assert audit.main([*words, "--advisories", str(tmp_path / "none.zip")]) == 2
    assert audit.main([*words, "--service", f"http://127.0.0.1:{free_port()}"]) == 2
    told = capsys.readouterr().err
    assert told.count("nothing was found out") == 2
    assert "all.zip elsewhere and give it as ADVISORIES=FILE" in told
    versions.write_text("# none\n")
    assert audit.main(words) == 2


@pytest.fixture
def service() -> Iterator[tuple[str, dict[str, Any]]]:
    """Serve answers by path, as the service has them."""
    answers: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path, {})).encode()
            self.send_response(200 if self.path in answers else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_service_is_asked(service: tuple[str, dict[str, Any]], versions: Path) -> None:
    address, answers = service
    words = ["--versions", str(versions), "--service", address]
    assert audit.main(words) == 2  # it fails
    answers["/v1/querybatch"] = {"results": [{}, {}]}
    assert audit.main(words) == 2  # of three
    answers["/v1/querybatch"] = {"results": [{}, {}, {"next_page_token": "x"}]}
    assert audit.main(words) == 2
    answers["/v1/querybatch"] = {"results": [{}, {}, {}]}
    assert audit.main(words) == 0
    answers["/v1/querybatch"] = {"results": [{"vulns": [{"id": "GHSA-x"}]}, {}, {}]}
    assert audit.main(words) == 2  # the advisory itself cannot be had
    answers["/v1/vulns/GHSA-x"] = BAD
    assert audit.main(words) == 1


def test_the_versions_of_the_product_are_found() -> None:
    found = audit.pins(audit.VERSIONS.read_text("utf-8"))
    assert {"aiocoap", "cryptography", "starlette"} <= found.keys()
