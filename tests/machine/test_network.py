"""The network state that the agent reads from its machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from machine.network import NetworkInfo, read_network

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
