"""``X-Forwarded-For``: believed from trusted proxies, and from the right."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from staging.proxies import Proxied, TrustedProxies, parse_network

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
HOPS_LIMIT = 32

PROXY, INNER, CLIENT = "10.0.0.1", "10.0.0.2", "203.0.113.7"
TRUSTED = TrustedProxies([parse_network("10.0.0.0/24"), parse_network("fd00::/64")])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        (PROXY, [CLIENT], CLIENT), (CLIENT, ["198.51.100.1"], CLIENT), (PROXY, [], PROXY),
        (PROXY, [f"198.51.100.1, {CLIENT}"], CLIENT), (PROXY, ["198.51.100.1", CLIENT], CLIENT),
        (PROXY, [f"198.51.100.1, {CLIENT}, {INNER}"], CLIENT), (PROXY, [f"{CLIENT}:4711"], CLIENT),
        (PROXY, ["[2001:db8::1]:99"], "2001:db8::1"), (PROXY, ["2001:db8::1"], "2001:db8::1"),
        (PROXY, [f"x, {INNER}"], INNER), (PROXY, ["unknown"], PROXY), (PROXY, [""], PROXY),
        (f"::ffff:{PROXY}", [CLIENT], CLIENT), ("fd00::5", [CLIENT], CLIENT),
        (PROXY, [f"::ffff:{CLIENT}"], CLIENT), (PROXY, [INNER], INNER),
        (PROXY, [", ".join([CLIENT] + [INNER] * HOPS_LIMIT)], INNER),
    ],
)  # fmt: skip
def test_whose_request_it_is(peer: str, forwarded: list[str], client: str) -> None:
    assert TRUSTED.client(peer, forwarded) == client


def test_nobody_is_trusted_unless_it_is_said() -> None:
    assert TrustedProxies().client("127.0.0.1", [CLIENT]) == "127.0.0.1"


@pytest.mark.parametrize("text", ["", "proxy.example", "10.0.0.1/8", "10.0.0.0/99", "*"])
def test_a_network_that_is_none_is_named(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected an address or a network"):
        parse_network(text)


@pytest.mark.parametrize(
    ("peer", "proto", "seen"),
    [(PROXY, "https", (CLIENT, "https")), (PROXY, "gopher", (CLIENT, "http")), (CLIENT, "https", (CLIENT, "http"))],
)  # fmt: skip
async def test_the_application_sees_client_and_scheme(
    peer: str, proto: str, seen: tuple[str, str]
) -> None:
    found: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        found.append((scope["client"][0], scope["scheme"]))

    headers = [(b"x-forwarded-for", CLIENT.encode()), (b"x-forwarded-proto", proto.encode())]
    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": headers}
    await Proxied(app, TRUSTED)(scope, None, None)  # type: ignore[arg-type]  # not used
    assert found == [seen]
