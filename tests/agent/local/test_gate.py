"""Who may ask the local API what: the socket, a local program, a web page, a stranger on the network."""

from __future__ import annotations

import pytest

from agent.local.gate import Way, find_refusal
from wire.codes import Code

TOKEN = "the-token"
LOCAL = {"host": "127.0.0.1:8080"}
GIVEN = {"authorization": f"Bearer {TOKEN}"}


def code(way: Way, method: str, token: str = TOKEN, **headers: str) -> Code | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if way is Way.NETWORK:
        named = {"host": "192.168.1.7:8443"} | named
    refusal = find_refusal(way, method, named, token, "Story-Box")
    return None if refusal is None else refusal[0]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
def test_the_socket_is_restricted_by_its_mode_alone(method: str) -> None:
    assert code(Way.SOCKET, method, host="agent") is None


@pytest.mark.parametrize(
    ("method", "refused"),
    [
        ("GET", False),
        ("HEAD", False),
        ("PUT", False),
        ("POST", True),
        ("DELETE", True),
        ("PATCH", True),
    ],
)
def test_a_local_program_needs_the_token_for_what_speaks_for_the_child(
    method: str, *, refused: bool
) -> None:
    assert code(Way.LOOPBACK, method, **LOCAL) == (Code.UNAUTHORIZED if refused else None)
    assert code(Way.LOOPBACK, method, **LOCAL, **GIVEN) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
def test_a_stranger_on_the_network_can_do_nothing(method: str) -> None:
    assert code(Way.NETWORK, method) is Code.UNAUTHORIZED
    for wrong in (
        "",
        "Bearer",
        "Bearer ",
        "Bearer the-toke",
        "Basic the-token",
        "Bearer é",
        "Token the-token",
        "the-token",
        "BearerX the-token",
        "Bearer the-token, Basic x",
    ):
        assert code(Way.NETWORK, method, authorization=wrong) is Code.UNAUTHORIZED
    assert code(Way.NETWORK, method, authorization=f"bearer {TOKEN}") is None


def test_without_a_token_nobody_has_it() -> None:
    assert code(Way.NETWORK, "GET", token="", authorization="Bearer ") is Code.UNAUTHORIZED


@pytest.mark.parametrize("way", [Way.LOOPBACK, Way.NETWORK])
@pytest.mark.parametrize(
    "page",
    [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"},
     {"sec_fetch_site": "same-site"}],
)  # fmt: skip
def test_a_web_page_may_not_even_with_the_token(way: Way, page: dict[str, str]) -> None:
    assert code(way, "POST", **LOCAL, **GIVEN, **page) is Code.FORBIDDEN
    assert code(way, "GET", **LOCAL, **page) is Code.FORBIDDEN


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "", "[::1]", "10.0.0.1"])  # fmt: skip
def test_a_name_of_the_pages_choice_is_no_name_of_ours(host: str) -> None:
    assert code(Way.LOOPBACK, "GET", host=host) is Code.BAD_REQUEST


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8080"])
def test_our_names(host: str) -> None:
    assert code(Way.LOOPBACK, "GET", host=host) is None


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "story-box.evil.example", "192.168.1.7.evil.example", "", "other-box.local",
     "story-box.local.evil.example", "local", "story-box..", "192.168.1.7 ", "[evil]", "story-boxx"],
)  # fmt: skip
def test_a_page_that_has_turned_its_name_to_our_address_is_refused_even_with_the_token(
    host: str, method: str
) -> None:
    assert code(Way.NETWORK, method, host=host, **GIVEN) is Code.BAD_REQUEST


@pytest.mark.parametrize(
    "host",
    ["192.168.1.7", "192.168.1.7:8443", "[fe80::1]:8443", "[::1]", "story-box", "STORY-BOX:8443",
     "story-box.local", "Story-Box.local.:8443", "story-box.fritz.box", "story-box.home.arpa", "localhost:8443"],
)  # fmt: skip
def test_names_of_a_machine_at_home(host: str) -> None:
    assert code(Way.NETWORK, "GET", host=host, **GIVEN) is None
