"""The factory profile: every key is checked, every error is named, no secret is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.profile import Profile, ProfileError, parse_profile, render_profile

KEYS = [
    "uuid",
    "token",
    "bindToken",
    "serverAddr",
    "coapPort",
    "lwm2mPort",
    "rsaCaCrt",
    "configures",
    "macId",
    "version",
]
NUMBERS = {"coapPort", "lwm2mPort", "version"}
WRONG_VALUES: list[tuple[str, object]] = [
    ("uuid", "0083000000000"),
    ("uuid", "0083000000000a0"),
    ("uuid", "0083000000000g"),
    ("uuid", "0083000000000a\n"),
    ("uuid", "٠٠٨٣٠٠٠٠٠٠٠٠٠٠"),
    ("token", ""),
    ("bindToken", "6dd5790b2163a0132e6c65c6dd6f9ef"),
    ("bindToken", "z" * 32),
    ("serverAddr", ""),
    ("serverAddr", "https://cloud.example"),
    ("serverAddr", "cloud.example:443"),
    ("serverAddr", "cloud example"),
    ("serverAddr", "cloud..example"),
    ("serverAddr", "a" * 64 + ".example"),
    ("serverAddr", "a." * 127),
    ("serverAddr", "云.example"),
    ("serverAddr", "[::1"),
    ("serverAddr", "[10.0.0.1]"),
    ("serverAddr", "[cloud:example]"),
    ("coapPort", 0),
    ("coapPort", 65536),
    ("coapPort", True),
    ("coapPort", 443.0),
    ("coapPort", "443"),
    ("lwm2mPort", -1),
    ("lwm2mPort", 65536),
    ("rsaCaCrt", ""),
    ("rsaCaCrt", "no certificate"),
    ("rsaCaCrt", "证书"),
    ("rsaCaCrt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ("configures", ""),
    ("configures", "[]"),
    ("configures", "{"),
    ("configures", '{"gain":NaN}'),
    ("version", -1),
    ("version", 2**63),
]


def parse(source: object) -> Profile:
    return parse_profile(json.dumps(source))


def test_a_good_profile_is_read_whole(profile_source: dict[str, Any]) -> None:
    profile = parse(profile_source)
    assert profile.uuid == "0083000000000a"
    assert profile.coap_port == 443
    assert profile.configures == {"volume": 3}
    assert profile.mac_id == ""
    assert profile.rsa_ca_crt == profile_source["rsaCaCrt"]
    assert set(profile.secrets) == {profile_source["token"], profile_source["bindToken"]}


def test_rendered_and_read_again_it_is_the_same(profile_source: dict[str, Any]) -> None:
    rendered = render_profile(parse(profile_source))
    assert list(json.loads(rendered)) == KEYS
    assert json.loads(rendered) == profile_source
    assert parse_profile(rendered) == parse(profile_source)


def test_members_of_a_newer_profile_are_ignored(profile_source: dict[str, Any]) -> None:
    assert parse(profile_source | {"colour": "red"}) == parse(profile_source)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "::1", "story_cloud", "a.b.example.", "xn--fiq.example"]
)
def test_host_names_and_addresses_are_taken(profile_source: dict[str, Any], host: str) -> None:
    assert parse(profile_source | {"serverAddr": host}).server_addr == host


def test_brackets_of_an_ipv6_address_are_taken_off(profile_source: dict[str, Any]) -> None:
    assert parse(profile_source | {"serverAddr": "[fe80::1]"}).server_addr == "fe80::1"


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(profile_source: dict[str, Any], key: str) -> None:
    del profile_source[key]
    with pytest.raises(ProfileError) as caught:
        parse(profile_source)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{key}: missing, expected ")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [None, [], {}, False, 1.5])
def test_a_wrong_type_is_named(profile_source: dict[str, Any], key: str, value: object) -> None:
    with pytest.raises(ProfileError) as caught:
        parse(profile_source | {key: value})
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{key}: got ")


@pytest.mark.parametrize("key", KEYS)
def test_text_for_a_number_and_a_number_for_text_are_named(
    profile_source: dict[str, Any], key: str
) -> None:
    with pytest.raises(ProfileError, match=f"^profile: {key}: got "):
        parse(profile_source | {key: "1" if key in NUMBERS else 1})


@pytest.mark.parametrize(("key", "value"), WRONG_VALUES)
def test_a_wrong_value_is_named(profile_source: dict[str, Any], key: str, value: object) -> None:
    with pytest.raises(ProfileError, match=f"^profile: {key}: got .*, expected ") as caught:
        parse(profile_source | {key: value})
    assert len(caught.value.problems) == 1


def test_a_certificate_that_is_no_ca_is_refused(
    profile_source: dict[str, Any], leaf_pem: str
) -> None:
    with pytest.raises(ProfileError, match=r"rsaCaCrt.*not a CA"):
        parse(profile_source | {"rsaCaCrt": leaf_pem})


@given(st.sets(st.sampled_from(KEYS), min_size=1))
def test_all_mistakes_are_told_at_once(wrong: set[str]) -> None:
    with pytest.raises(ProfileError) as caught:
        parse({key: {} for key in wrong})
    assert [problem.split(":")[0] for problem in caught.value.problems] == KEYS
    got = {p.split(":")[0] for p in caught.value.problems if "missing" not in p}
    assert got == wrong


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not UTF-8 text (byte 0)"),
        (b'{"uuid": "1",}', "not JSON"),
        (b"[]", "expected a JSON object"),
        (b"null", "expected a JSON object"),
    ],
)
def test_a_file_that_is_no_json_object_is_said_so(data: bytes, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile(data)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("wrap", ["bad type", "list", "text", "cut", "spoilt"])
def test_no_secret_in_a_message(profile_source: dict[str, Any], wrap: str) -> None:
    token, bind = profile_source["token"], profile_source["bindToken"]
    source: Any = {
        "bad type": profile_source | {"token": [token], "bindToken": {"is": bind}},
        "list": [token, bind, profile_source],
        "text": token + bind,
        "cut": profile_source,
        "spoilt": profile_source | {"bindToken": bind + "0"},
    }[wrap]
    text = json.dumps(source)
    with pytest.raises(ProfileError) as caught:
        parse_profile(text[:-5] if wrap == "cut" else text)
    told = f"{caught.value!s} {caught.value!r} {caught.value.problems}"
    assert token not in told
    assert bind not in told


def test_a_key_in_the_certificates_place_is_not_told(profile_source: dict[str, Any]) -> None:
    with pytest.raises(ProfileError) as caught:
        parse(profile_source | {"rsaCaCrt": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG"})
    assert "PRIVATE" not in str(caught.value)


def test_no_secret_in_repr(profile_source: dict[str, Any]) -> None:
    shown = repr(parse(profile_source))
    assert "0083000000000a" in shown
    assert profile_source["token"] not in shown
    assert profile_source["bindToken"] not in shown


@given(st.dictionaries(st.sampled_from(KEYS), st.text() | st.integers() | st.none()))
def test_any_object_is_a_profile_or_a_wire_error(source: dict[str, object]) -> None:
    with pytest.raises(WireError):  # none of these has a certificate
        parse(source)


def test_a_token_fits_one_query_option(profile_source: dict[str, Any]) -> None:
    assert parse_profile(json.dumps(profile_source | {"token": "t" * 249})).token == "t" * 249
    with pytest.raises(ProfileError, match="at most 249 bytes"):
        parse_profile(json.dumps(profile_source | {"token": "t" * 250}))
