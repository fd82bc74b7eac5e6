"""The network state that the agent reads from its machine, and its log lines."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import socket
import threading
from pathlib import Path
from urllib.parse import quote

import pytest

from agent.logs import REDACTED, RedactingFormatter, Redactor
from agent.loop import AgentLoop
from agent.points import _product_points
from agent.systemd import ServiceManager
from machine.network import NetworkInfo, read_network
from resources.power import PowerPoint

HEADER = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"


def route(name: str, destination: str = "00000000", mask: str = "00000000") -> str:
    return f"{name}\t{destination}\t0101A8C0\t0003\t0\t0\t0\t{mask}\t0\t0\t0\n"


def network(tmp_path: Path, routes: str | None, *folders: str, mac: str = "") -> NetworkInfo:
    for folder in folders:
        (tmp_path / "sys" / folder).mkdir(parents=True)
    if mac:
        (tmp_path / "sys" / "lo" / "address").write_text(mac + "\n")
    if routes is not None:
        (tmp_path / "proc" / "net").mkdir(parents=True)
        (tmp_path / "proc" / "net" / "route").write_text(routes)
    return read_network(tmp_path / "proc", tmp_path / "sys")


def test_the_default_routes_interface_is_described(tmp_path: Path) -> None:
    routes = HEADER + route("eth9", "0001A8C0", "00FFFFFF") + route("lo") + route("wlan9")
    found = network(tmp_path, routes, "lo/wireless", mac="b8:27:eb:00:00:01")
    assert found == NetworkInfo("WIFI", "b8:27:eb:00:00:01", "127.0.0.1")


def test_a_cable_is_not_wifi(tmp_path: Path) -> None:
    assert network(tmp_path, HEADER + route("lo"), "lo").type == "ETHERNET"


@pytest.mark.parametrize("routes", [None, "", HEADER, HEADER + route("eth9", "0001A8C0", "00FFFFFF"),
                                    HEADER + "short line\n"])  # fmt: skip
def test_without_a_default_route_there_is_no_network(tmp_path: Path, routes: str | None) -> None:
    assert network(tmp_path, routes) == NetworkInfo("none")


def test_an_interface_that_went_away_leaves_the_rest_empty(tmp_path: Path) -> None:
    assert network(tmp_path, HEADER + route("gone0")) == NetworkInfo("ETHERNET")


SECRETS = ("tok", "token-4711", 'quo"te\\ü')


def logged(message: str, *arguments: object, error: Exception | None = None) -> str:
    """Return the output of the log's handler."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(RedactingFormatter("%(levelname)s %(name)s: %(message)s", SECRETS))
    logger = logging.getLogger("test")
    logger.addHandler(handler)
    logger.error(message, *arguments, exc_info=error)
    logger.removeHandler(handler)
    return out.getvalue()


def test_secrets_are_cut_out_of_message_arguments_and_traceback() -> None:
    try:
        raise ValueError("the server said token-4711")
    except ValueError as error:
        text = logged("token-4711 and %s and %r", "token-4711", ["token-4711"], error=error)
    assert "Traceback" in text
    assert "token-4711" not in text
    assert f"ERROR test: {REDACTED} and {REDACTED} and ['{REDACTED}']\n" in text
    assert text.endswith(f"ValueError: the server said {REDACTED}\n")


def test_a_secret_that_begins_another_leaves_nothing_of_it() -> None:
    assert logged("a token-4711 b tok c") == f"ERROR test: a {REDACTED} b {REDACTED} c\n"


@pytest.mark.parametrize("spell", [str, json.dumps, repr, lambda s: quote(s, safe=""),
                                   lambda s: json.dumps(s, ensure_ascii=False)])  # fmt: skip
def test_a_secret_is_found_however_it_is_spelled(spell: object) -> None:
    spelled = spell(SECRETS[2])  # type: ignore[operator]
    text = Redactor(SECRETS).cut(f"<{spelled}>")
    assert "quo" not in text
    assert REDACTED in text


def test_an_empty_secret_cuts_nothing() -> None:
    assert Redactor(["", "x"]).cut("a b") == "a b"


def test_a_name_server_that_is_dead_does_not_keep_the_loop_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release, asked = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        asked.set()
        release.wait()
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    async def connect() -> None:
        async with asyncio.timeout(0.1):
            await asyncio.open_connection("cloud.example", 9)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with asyncio.Runner(loop_factory=AgentLoop) as runner, pytest.raises(TimeoutError):
        runner.run(connect())
    assert asked.is_set()
    release.set()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".example"])
def test_a_name_that_is_none_is_an_os_error(host: str) -> None:
    async def connect() -> None:
        await asyncio.open_connection(host, 9)

    with asyncio.Runner(loop_factory=AgentLoop) as runner, pytest.raises(OSError):
        runner.run(connect())


def test_a_name_is_found() -> None:
    async def look_up() -> list[object]:
        return list(await asyncio.get_running_loop().getaddrinfo("localhost", 9))

    with asyncio.Runner(loop_factory=AgentLoop) as runner:
        addresses = {info[4][0] for info in runner.run(look_up())}  # type: ignore[index]
    assert addresses & {"127.0.0.1", "::1"}


@pytest.mark.parametrize("limit", ["", "0", "soon"])
async def test_without_a_watchdog_systemd_hears_nothing(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    manager = ServiceManager()
    manager.ready()
    await manager.keep_watchdog_quiet()
    manager.stopping()


class _Entry:
    def __init__(self, name: str, made: object) -> None:
        self.name, self._made = name, made

    def load(self) -> object:
        if isinstance(self._made, Exception):
            raise self._made
        return lambda: self._made


def test_a_products_broken_data_point_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good = PowerPoint(None)
    entries = [_Entry("broken", ImportError("no module")), _Entry("odd", 7), _Entry("good", good)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: entries if group else [])
    assert _product_points() == [good]
    assert "data point broken cannot be loaded" in caplog.text
    assert "data point odd is no resources.datapoint.DataPoint" in caplog.text
