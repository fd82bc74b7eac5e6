"""Which addresses are admitted: kinds of networks, odd spellings of hosts, redirects."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import RefusedError
from resources.online.policy import (
    NOT_REACHED,
    AddressError,
    Policy,
    follow,
    parse_networks,
    parse_target,
)
from wire.errors import FieldError


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.31.255.255",
        "192.0.0.1", "192.0.2.1", "192.168.0.1", "198.19.0.1", "224.0.0.251", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::ffff:127.0.0.1", "::ffff:192.168.1.1", "::127.0.0.1", "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8", "fe80::1", "fe80::1%lo", "fec0::1", "fd00::1", "ff02::fb", "2001::1",
        "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "100::1", "3fff::1", "a name", "", "127.1",
        "2130706433",
    ],
)  # fmt: skip
def test_what_is_not_of_the_internet_is_refused(address: str) -> None:
    assert not Policy().admits(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8", "172.32.0.1"],
)
def test_addresses_of_the_internet_are_admitted(address: str) -> None:
    assert Policy().admits(address)


@pytest.mark.parametrize(
    ("networks", "admitted", "refused"),
    [
        (["192.168.1.0/24"], "192.168.1.7", "192.168.2.7"),
        (["192.168.1.5"], "::ffff:192.168.1.5", "192.168.1.6"),
        (["fd00:1::/32"], "fd00:1::9", "fd00:2::9"),
        (["fe80::/10"], "fe80::1%lo", "::1"),
        (["10.0.0.0/8", "::1"], "64:ff9b::10.0.0.1", "127.0.0.1"),
    ],
)
def test_listed_networks_are_admitted(networks: list[str], admitted: str, refused: str) -> None:
    policy = Policy(parse_networks(networks, "play.allow_networks"))
    assert policy.admits(admitted)
    assert not policy.admits(refused)
    assert policy.admits("8.8.8.8")


@pytest.mark.parametrize("text", ["192.168.1.1/24", "lan", "", 5, "10.0.0.0/33", None])
def test_a_network_that_is_none_is_named(text: object) -> None:
    with pytest.raises(FieldError, match=r"play\.allow_networks\[1\]: got"):
        parse_networks(["10.0.0.0/8", text], "play.allow_networks")


@given(st.ip_addresses())
def test_python_agrees_that_what_is_admitted_is_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Python's own table is another reading of the registries; it knows no NAT64 and no mapping."""
    if address.version == 6 and (address.ipv4_mapped or str(address).startswith("64:ff9b::")):
        return
    if Policy().admits(str(address)):
        assert not address.is_private
        assert not address.is_multicast
        assert not address.is_reserved


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("Http://Stories.Example", "stories.example", 80, "/"),
        ("https://h:8443/a b?q=ü#part", "h", 8443, "/a%20b?q=%C3%BC"),
        ("http://h/%41%20", "h", 80, "/%41%20"),
        ("http://h:/a", "h", 80, "/a"),
        ("http://h./a", "h.", 80, "/a"),
        ("http://märchen.example/", "xn--mrchen-bua.example", 80, "/"),
        ("http://例子.example/", "xn--fsqu00a.example", 80, "/"),
        ("http://[::1]:81/", "::1", 81, "/"),
        ("http://[fe80::1%25lo]/", "fe80::1%25lo", 80, "/"),
        ("http://0x7f.1/", "0x7f.1", 80, "/"),
        ("http://h?x", "h", 80, "/?x"),
    ],
)
def test_a_url_is_taken_apart(url: str, host: str, port: int, path: str) -> None:
    target = parse_target(url)
    assert (target.host, target.port, target.path) == (host, port, path)


@pytest.mark.parametrize(
    "url",
    [
        "http://", "ftp://h/", "file:///etc/passwd", "http://[::1/", "http://h:99999/", "http://h:x/", "h",
        "http://h%0d%0aX: y/", "http://a b/", "http://" + "ä" * 80 + ".example/",
        "http://h/" + "x" * 5000, "http://%31/", "",
    ],
)  # fmt: skip
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(RefusedError):
        parse_target(url)


@pytest.mark.parametrize("port", [0, 22, 25, 6667])
def test_ports_of_other_services_are_refused_with_the_same_words(port: int) -> None:
    with pytest.raises(AddressError, match=NOT_REACHED):
        parse_target(f"http://h:{port}/")


def test_no_line_can_be_put_into_a_request() -> None:
    target = parse_target("http://h/a\r\nX: y/\tb?c d\x00")
    assert target.path.isprintable()
    assert " " not in target.path


def test_user_and_password_are_a_header_and_in_no_log() -> None:
    target = parse_target("https://Parent:s%C3%A4cret@pod.example/a.mp3?token=t#f")
    assert target.login == "Basic UGFyZW50OnPDpGNyZXQ="
    assert target.shown == "https://pod.example/a.mp3"
    assert target.url == "https://pod.example/a.mp3?token=t"


@pytest.mark.parametrize(
    ("location", "url", "login"),
    [
        ("/b.mp3", "https://pod.example/b.mp3", True),
        ("b.mp3?x", "https://pod.example/d/b.mp3?x", True),
        ("https://pod.example:444/b", "https://pod.example:444/b", False),
        ("//cdn.example/b", "https://cdn.example/b", False),
        ("https://cdn.example/b", "https://cdn.example/b", False),
    ],
)
def test_a_redirect_takes_the_login_to_the_same_server_only(
    location: str, url: str, *, login: bool
) -> None:
    led = follow(parse_target("https://u:p@pod.example/d/a.mp3"), location)
    assert led.url == url
    assert bool(led.login) is login


@pytest.mark.parametrize("location", ["http://pod.example/a", "file:///etc/passwd", "https://["])
def test_a_redirect_out_of_tls_or_of_the_web_is_refused(location: str) -> None:
    with pytest.raises(RefusedError):
        follow(parse_target("https://pod.example/a"), location)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "017700000001", "127.1", "0"])
def test_odd_spellings_of_loopback_are_judged_as_what_they_lead_to(host: str) -> None:
    found = socket.getaddrinfo(parse_target(f"http://{host}/").host, 80)
    assert not any(Policy().admits(str(row[4][0])) for row in found)


@given(st.text(max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    for url in (text, f"http://{text}", f"http://h/{text}", f"https://{text}@h:{text}/"):
        try:
            target = parse_target(url)
        except RefusedError:
            continue
        assert target.path.isascii()
        assert target.path.isprintable()
        assert target.host.isascii()
