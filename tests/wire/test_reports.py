"""Registration and reports: the messages of a device, and the refused ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import MissingFieldError, WireError
from wire.reports import (
    KEEPALIVE,
    KEYS_SYSTEM,
    Alive,
    Credentials,
    DeviceInfo,
    PackageInfo,
    Registered,
    Sboms,
    abilities_report,
    alive_answer,
    parse_alive_answer,
    parse_package_sboms,
    parse_package_support,
    parse_package_version,
    parse_registration,
    parse_registration_answer,
    parse_report,
    parse_report_query,
    registration_answer,
    registration_payload,
    report_payload,
    report_query,
)
from wire.support import SUPPORT_END

WHO = Credentials("0083000000000a", "s3cret-token")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def test_the_answer_to_a_registration_tells_time_and_what_the_cloud_reads() -> None:
    payload = registration_answer(1_795_305_600_912, frozenset({"number", "ping"}))
    told = Registered(1_795_305_600_912, frozenset({"number", "ping"}))
    assert parse_registration_answer(payload) == told
    assert json.loads(payload)["time"] == 1_795_305_600  # what earlier agents read


def test_an_older_clouds_answer_tells_less() -> None:
    assert parse_registration_answer(b"") == Registered()
    assert parse_registration_answer(b'{"other": 1}') == Registered()
    assert parse_registration_answer(b'{"time": 1795305600}') == Registered(1_795_305_600_000)


@pytest.mark.parametrize(
    "payload",
    [b"OK", b"[]", b'{"time": "now"}', b'{"time": -1}', b'{"time": true}', b'{"time_ms": 0.5}'],
)
def test_a_time_that_is_none_is_named(payload: bytes) -> None:
    with pytest.raises(WireError, match=r"time|answer"):
        parse_registration_answer(payload)


def test_the_registration_is_the_documents() -> None:
    assert json.loads(registration_payload(WHO)) == {
        "deviceUUID": "0083000000000a",
        "token": "s3cret-token",
    }


@given(TEXT, TEXT)
def test_registration_and_query_round_trip(uuid: str, token: str) -> None:
    who = Credentials(uuid, token)
    assert parse_registration(registration_payload(who)) == who
    assert parse_report_query(report_query(who)) == who


def test_a_token_keeps_its_equals_signs_in_the_query() -> None:
    assert parse_report_query(["deviceUuid=a", "token=b=c=="]) == Credentials("a", "b=c==")


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ([], "deviceUuid"),
        (["token=b"], "deviceUuid"),
        (["deviceUuid=", "token=b"], "deviceUuid"),
        (["deviceUuid=a"], "token"),
        (["deviceUuid=a", "token"], "token"),
        (["deviceuuid=a", "token=b"], "deviceUuid"),
    ],
)
def test_a_query_option_that_is_not_there_is_named(options: list[str], missing: str) -> None:
    with pytest.raises(MissingFieldError) as caught:
        parse_report_query(options)
    assert caught.value.field == missing


@pytest.mark.parametrize("key", ["deviceUUID", "token"])
@pytest.mark.parametrize("value", ["", 5, None, ["s3cret-token"]])
def test_a_registration_member_that_is_wrong_is_named(key: str, value: object) -> None:
    source = {"deviceUUID": "a", "token": "b"} | {key: value}
    with pytest.raises(WireError, match=f"^{key}: got "):
        parse_registration(json.dumps(source).encode())
    del source[key]
    with pytest.raises(MissingFieldError, match=f"^{key}: missing"):
        parse_registration(json.dumps(source).encode())


@pytest.mark.parametrize(
    "payload",
    [b'["s3cret-token"]', b'"s3cret-token"', b'{"deviceUUID":"a","token":["s3cret-token"]}'],
)
def test_a_token_in_the_wrong_place_is_not_told(payload: bytes) -> None:
    with pytest.raises(WireError) as caught:
        parse_registration(payload)
    assert "s3cret-token" not in str(caught.value)


def test_credentials_do_not_show_the_token() -> None:
    assert "s3cret-token" not in repr(WHO)


def test_the_keepalive_is_the_documents() -> None:
    assert report_payload(KEEPALIVE) == b'{"data":{"alive":0}}'


@given(
    st.dictionaries(
        TEXT, st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT, min_size=1
    )
)
def test_a_report_round_trips_in_its_order(data: dict[str, object]) -> None:
    parsed = parse_report(report_payload(data))
    assert parsed == data
    assert list(parsed) == list(data)


@pytest.mark.parametrize(
    "payload", [b"{}", b'{"data":{}}', b'{"data":null}', b'{"data":[1]}', b'{"data":"x"}']
)
def test_a_report_without_content_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError, match=r"^data: "):
        parse_report(payload)


def test_a_report_of_another_shape_does_not_tell_what_it_holds() -> None:
    with pytest.raises(WireError) as caught:
        parse_report(b'{"data":[{"device_info":{"bindToken":"b1nd"}}]}')
    assert "b1nd" not in str(caught.value)


def test_device_info_has_uuid_and_bind_token_and_hides_the_latter() -> None:
    info = DeviceInfo("u", "b1nd", "1.0.0", "WIFI", "aa:bb", "10.0.0.2", "home", "story")
    assert "b1nd" not in repr(info)
    sent = info.to_json()
    assert (sent["uuid"], sent["bindToken"], sent["firmwareVersion"]) == ("u", "b1nd", "1.0.0")
    assert list(sent)[3:] == ["networkType", "mac", "ip", "ssid", "hostname", "reads"]


def test_what_a_device_reads_is_told_in_device_info() -> None:
    report = abilities_report("u", frozenset({"deadline", "answer"}))
    assert report == {"device_info": {"uuid": "u", "reads": ["answer", "deadline"]}}


def test_package_info_names_the_running_version() -> None:
    value = PackageInfo("story", "0000", "linux", "us", "1.2.3").to_json()
    assert value == {
        "version": "1.0",
        "product": "story",
        "batch": "0000",
        "os": {"name": "linux", "developer": "us", "staged_version": "", "version": "1.2.3"},
        "support_end": SUPPORT_END,
    }
    assert parse_package_version(json.loads(json.dumps(value))) == "1.2.3"


def test_package_info_names_the_day_until_which_faults_are_mended() -> None:
    value = PackageInfo("story", "0000", "linux", "us", "1", support_end="2033-01-31").to_json()
    assert parse_package_support(json.loads(json.dumps(value))) == "2033-01-31"
    assert parse_package_support({"os": {"version": "1"}}) is None
    with pytest.raises(WireError, match=r"^package_info\.support_end: got"):
        parse_package_support({"os": {"version": "1"}, "support_end": "soon"})


def test_package_info_names_the_lists_of_parts_that_are_there() -> None:
    told = Sboms("a" * 64, "b" * 64)
    value = PackageInfo("story", "0000", "linux", "us", "1.2.3", sboms=told).to_json()
    assert value["sbom"] == {"sha256": "a" * 64, "base_sha256": "b" * 64}
    assert parse_package_sboms(json.loads(json.dumps(value))) == told
    alone = PackageInfo("story", "0000", "linux", "us", "1", sboms=Sboms("a" * 64)).to_json()
    assert alone["sbom"] == {"sha256": "a" * 64}
    assert parse_package_sboms({"os": {"version": "1"}}) == Sboms()


@pytest.mark.parametrize(
    ("sbom", "named"),
    [
        (None, "package_info.sbom: "),
        ({"sha256": 1}, "package_info.sbom.sha256: got"),
        ({"sha256": "A" * 64}, "package_info.sbom.sha256: got"),
        ({"sha256": "a" * 64, "base_sha256": "a" * 63}, "package_info.sbom.base_sha256: got"),
    ],
)
def test_what_is_no_digest_of_a_list_of_parts_is_refused(sbom: object, named: str) -> None:
    with pytest.raises(WireError, match=f"^{named}"):
        parse_package_sboms({"os": {"version": "1"}, "sbom": sbom})


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (None, "package_info"),
        ([], "package_info"),
        ({}, "package_info.os"),
        ({"os": "1.2.3"}, "package_info.os"),
        ({"os": {}}, "package_info.os.version"),
        ({"os": {"version": 1}}, "package_info.os.version"),
        ({"os": {"version": ""}}, "package_info.os.version"),
    ],
)
def test_a_package_info_without_version_is_refused(value: object, named: str) -> None:
    with pytest.raises(WireError, match=f"^{named}: "):
        parse_package_version(value)


def test_system_keys_are_those_of_the_document() -> None:
    assert {"alive", "voice_control", "duer_voice", "ota_event", "ota_state"} < KEYS_SYSTEM
    assert {"package_info", "device_info"} < KEYS_SYSTEM
    assert "volume" not in KEYS_SYSTEM


@pytest.mark.parametrize("twin", [True, False])
def test_an_answer_to_alive_tells_the_time_and_of_a_second_machine(*, twin: bool) -> None:
    payload = alive_answer(1_790_000_000_123, twin=twin)
    assert parse_alive_answer(payload) == Alive(1_790_000_000_123, twin)
    assert (b"twin" in payload) is twin


@pytest.mark.parametrize(
    "payload", [b"", b"ok", b"[]", b"{}", b'{"time_ms":"1"}', b'{"time_ms":true}']
)
def test_an_answer_to_alive_of_another_cloud_tells_nothing(payload: bytes) -> None:
    assert parse_alive_answer(payload) is None
