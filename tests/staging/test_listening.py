"""The listening sockets' errors name what the user typed, and the addresses are reachable ones."""

from __future__ import annotations

import argparse
import socket

import pytest

from staging.errors import StagingError
from staging.listening import advertised, endpoints, listen, names_of, public_host


def test_the_ports_that_are_bound_are_the_ones_advertised() -> None:
    with listen("127.0.0.1", 0, "--api-port") as api, listen("127.0.0.1", 0, "--x") as device:
        found = endpoints("127.0.0.1", api, device)
        assert found.api == f"http://127.0.0.1:{api.getsockname()[1]}"
        assert (found.device_host, found.device_port) == ("127.0.0.1", device.getsockname()[1])


def test_a_taken_port_is_named_with_its_option() -> None:
    with listen("127.0.0.1", 0, "--api-port") as first:
        port = first.getsockname()[1]
        with pytest.raises(StagingError, match=f"^--device-port {port}: cannot listen on 127"):
            listen("127.0.0.1", port, "--device-port")


def test_a_host_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object, **_named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(StagingError, match=r"^--listen nowhere: Name or service not known"):
        listen("nowhere", 0, "--api-port")


def test_the_advertised_host_is_never_a_wildcard() -> None:
    assert advertised("cloud.example") == "cloud.example"
    assert advertised("127.0.0.1") == "127.0.0.1"
    assert advertised("0.0.0.0") not in {"0.0.0.0", ""}
    assert advertised("::") not in {"::", ""}


def test_an_ipv6_address_is_bracketed_in_the_url() -> None:
    with listen("127.0.0.1", 0, "--api-port") as api:
        assert endpoints("::1", api, api).api.startswith("http://[::1]:")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Cloud.Example.", "cloud.example"), ("10.0.0.9", "10.0.0.9"), ("[2001:DB8::1]", "2001:db8::1"),
        ("localhost", "localhost"), ("story_cloud", "story_cloud"),
    ],
)  # fmt: skip
def test_public_hosts_are_as_a_certificate_has_them(text: str, name: str) -> None:
    assert public_host(text) == name


@pytest.mark.parametrize(
    "text", ["", "0.0.0.0", "::", "http://cloud", "a b", "cloud:9001", "x" * 300, "-a"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a host name"):
        public_host(text)


def test_the_first_public_host_is_announced_and_all_are_named() -> None:
    assert names_of("127.0.0.1", ()) == ("127.0.0.1",)
    assert names_of("10.0.0.9", ("cloud.example", "10.0.0.9")) == ("cloud.example", "10.0.0.9")
