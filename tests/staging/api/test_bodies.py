"""Parameters wherever an app puts them: JSON by any type, forms, the query (staging.api.bodies)."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from staging.api.bodies import merged, read_json
from wire.codes import Code
from wire.errors import FieldError
from wire.exchange import Answer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FIELDS_LIMIT = 64

UUID = "0083000000000a"
ORDER = {"deviceUuid": UUID, "method": "PUT", "name": "volume", "content": "9"}
FORM = f"deviceUuid={UUID}&method=PUT&name=volume&content=9"
TOKEN = "6dd5790b2163a0132e6c65c6dd6f9ef2"


def test_what_stands_once_is_not_rendered_at_each_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body of 16 KiB of nested objects stopped the event loop for half a second, whoever sent it."""
    rendered: list[object] = []

    def note(value: object) -> str:
        rendered.append(value)
        return str(value)

    monkeypatch.setattr(json, "dumps", note)
    depth = 500
    assert "a" in read_json(('{"x":0,"x":0,"a":' * depth + "1" + "}" * depth).encode())
    assert rendered == [0] * (2 * depth)


@pytest.mark.parametrize(
    ("body", "query", "expected"),
    [
        (json.dumps(ORDER), "", ORDER),
        (FORM, "", ORDER),
        ("", FORM, ORDER),
        (" \n", FORM, ORDER),
        ("method=PUT&content=9", f"deviceUuid={UUID}&name=volume", ORDER),
        ('{"deviceUuid": "a", "packageId": 480}', "packageId=480", {"deviceUuid": "a", "packageId": 480}),
        ("deviceUuids=a,b", "", {"deviceUuids": ["a", "b"]}),
        ("deviceUuids[]=a&deviceUuids%5B%5D=b", "", {"deviceUuids": ["a", "b"]}),
        ("name[]=a", "", {"name[]": "a"}),
        ("deviceUuids=a&deviceUuids=b", "", {"deviceUuids": ["a", "b"]}),
        ("", "deviceUuids=%5B%22a%22%2C%22b%22%5D", {"deviceUuids": ["a", "b"]}),
        ("", "deviceUuids=", {"deviceUuids": []}),
        ("deviceUuids=[", "", {"deviceUuids": ["["]}),
        ("name=%E5%B0%8F%E5%85%94+%2B1", "", {"name": "小兔 +1"}),
        ("name=", "", {"name": ""}),
        ('{"name": null}', "limit=", {"name": None, "limit": ""}),
        ("a=1&a=1", "", {"a": "1"}),
        ('{"a": [1], "a": [1]}', "", {"a": [1]}),
        ("", "", {}),
    ],
)  # fmt: skip
def test_a_request_is_one_object(body: str, query: str, expected: dict[str, Any]) -> None:
    assert json.loads(merged(body.encode(), query.encode())) == expected


@pytest.mark.parametrize("body", ['["a"]', "5", "null", "text", '{"a"', "[" * 5000, '{"a=b'])
def test_what_is_neither_is_left_to_the_route(body: str) -> None:
    assert merged(body.encode(), b"a=1") == body.encode()


@pytest.mark.parametrize(
    ("body", "query", "words"),
    [
        ('{"name": "a"}', "name=b", "name: got"),
        ("name=a", "name=b", "name: got"),
        ("name=a&name=b", "", "name: got"),
        ('{"name": "a", "name": "b"}', "", "name: got"),
        ('{"more": {"packageId": 1, "packageId": true}}', "", "packageId: got"),
        ("", "name=%FF", "the query: "),
        ("name=%FF", "", "the form: "),
        ("&".join(f"a{number}=1" for number in range(FIELDS_LIMIT + 1)), "", "the form: "),
        ('{"packageId": true}', "packageId=1", "packageId: got"),
    ],
)
def test_what_is_doubtful_is_refused(body: str, query: str, words: str) -> None:
    with pytest.raises(FieldError, match=f"^{words}"):
        merged(body.encode(), query.encode())


def test_a_token_is_not_repeated_in_an_error() -> None:
    with pytest.raises(FieldError) as caught:
        merged(json.dumps({"token": TOKEN}).encode(), b"token=other")
    assert TOKEN not in str(caught.value)


PARTS = "multipart/form-data; boundary=x1"


def in_parts(*fields: tuple[str, str], end: str = "--x1--\r\n", more: str = "") -> bytes:
    """Return a form as curl's -F and a page's FormData write it."""
    parts = "".join(
        f'--x1\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'
        for name, value in fields
    )
    return (parts + end).encode()


@pytest.mark.parametrize(
    ("body", "kind", "query", "expected"),
    [
        (in_parts(*ORDER.items()), PARTS, "", ORDER),
        (in_parts(*ORDER.items()), 'Multipart/Form-Data; charset=utf-8; Boundary="x1"', "", ORDER),
        (in_parts(("deviceUuids", "a"), ("deviceUuids", "b")), PARTS, "", {"deviceUuids": ["a", "b"]}),
        (in_parts(("name", "小兔 --x1 \r\n\r\n=")), PARTS, "limit=5", {"name": "小兔 --x1 \r\n\r\n=", "limit": "5"}),
        (in_parts(("name", "")).replace(b'"name"', b"name").lower(), PARTS, "", {"name": ""}),
    ],
)  # fmt: skip
def test_a_form_in_parts_is_one_object(
    body: bytes, kind: str, query: str, expected: dict[str, Any]
) -> None:
    assert json.loads(merged(body, query.encode(), kind)) == expected


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (in_parts(("name", "a"), more='; filename="a.txt"'), PARTS, "name: got "),
        (in_parts(("name", "a"), ("name", "b")), PARTS, "name: got "),
        (in_parts(("name", "a"), end=""), PARTS, "Content-Type: got "),
        (in_parts(("name", "a")), "multipart/form-data", "Content-Type: got "),
        (in_parts(("name", "a")), "multipart/form-data; boundary=y", "Content-Type: got "),
        (in_parts(("name", "a")).replace(b"form-data", b"attachment"), PARTS, "the form: got "),
        (in_parts(("name", "a")).replace(b"\r\na", b"\r\n\xff"), PARTS, "name: "),
        (in_parts(*((f"a{n}", "1") for n in range(FIELDS_LIMIT + 1))), PARTS, "the form: got "),
    ],
)
def test_a_form_in_parts_that_is_none_is_refused(body: bytes, kind: str, words: str) -> None:
    with pytest.raises(FieldError, match=f"^{words}"):
        merged(body, b"", kind)


@example(b"2", b'Content-Disposition: form-data; name="b"\r\n\r\n')
@given(
    st.binary(max_size=60),
    st.sampled_from([b"", b'Content-Disposition: form-data; name="b"\r\n\r\n']),
)
def test_any_parts_are_read_or_refused(piece: bytes, head: bytes) -> None:
    body = in_parts(("a", "1"), end="--x1\r\n") + head + piece + b"\r\n--x1--"
    try:
        read = json.loads(merged(body, b"", PARTS))
    except FieldError:
        return
    assert read["a"] == "1"
    assert set(read) == {"a", "b"}


@given(st.binary(max_size=60), st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(body: bytes, query: bytes) -> None:
    try:
        read = merged(body, query)
    except FieldError:
        return
    assert read == body or isinstance(json.loads(read), dict)


@pytest.mark.parametrize(
    ("kind", "body", "query"),
    [
        ("application/json; charset=utf-8", json.dumps(ORDER), ""),
        ("application/x-www-form-urlencoded", json.dumps(ORDER), ""),
        ("text/plain;charset=UTF-8", json.dumps(ORDER), ""),
        ("", json.dumps(ORDER), ""),
        ("application/x-www-form-urlencoded", FORM, ""),
        (PARTS, in_parts(*ORDER.items()).decode(), ""),
        ("", "", FORM),
        ("application/json", '{"content": "9"}', f"deviceUuid={UUID}&method=PUT&name=volume"),
    ],
)
async def test_an_order_is_taken_in_each_form(cloud: Any, kind: str, body: str, query: str) -> None:
    cloud.bind()
    device = await cloud.register(answers={("PUT", "volume"): Answer(Code.CHANGED)})
    headers = cloud.headers() | {"Content-Type": kind}
    url = f"/v1/device/control/send?{query}"
    response = await cloud.http.post(url, headers=headers, content=body.encode())
    assert response.json()["data"] == {"code": "2.04", "content": "9", "name": "volume"}
    assert (await device.expect("PUT", "volume")).payload == b"9"


@pytest.mark.parametrize(
    ("path", "kind", "body", "code", "words"),
    [
        (
            "/device/unbind",
            "text/plain",
            "[1]",
            400,
            "body: got a list that is not shown, expected a JSON object",
        ),
        (
            "/device/unbind",
            "application/json",
            "[1]",
            400,
            "body: got a list that is not shown, expected a JSON object",
        ),
        ("/device/unbind", "application/json", "{", 400, "body: not JSON (a JSON object expected)"),
        (
            "/device/unbind",
            "application/json",
            "null",
            400,
            "body: missing, expected a JSON object",
        ),
        ("/device/unbind", "application/json", "", 400, "body: missing, expected a JSON object"),
        (
            "/device/unbind",
            "application/json",
            f'{{"deviceUuid": "{UUID}", "deviceUuid": "0083000000000b"}}',
            400,
            'deviceUuid: got "0083000000000b", expected one value in the JSON object',
        ),
        (
            "/device/control/send",
            "application/json",
            json.dumps(ORDER | {"method": "GET"})[:-1] + ', "name": "power"}',
            "400",
            'name: got "power", expected one value in the JSON object',
        ),
        ("/device/unbind?deviceUuid=b", "", f"deviceUuid={UUID}", 400, "deviceUuid: got"),
        ("/device/unbind", "", "deviceUuid=x", 1208, "device uuid invalid: deviceUuid: got"),
        ("/device/query/data/connect", "", "deviceUuids=", "1801", "device id is empty"),
    ],
)
async def test_a_mistake_is_named_in_each_form(
    cloud: Any, path: str, kind: str, body: str, code: object, words: str
) -> None:
    headers = cloud.headers() | {"Content-Type": kind}
    response = await cloud.http.post(f"/v1{path}", headers=headers, content=body.encode())
    assert response.json()["code"] == code
    assert response.json()["message"].startswith(words)
    assert response.status_code == 400


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip", ""])
async def test_an_encoded_body_is_refused_by_the_name_of_its_encoding(
    cloud: Any, kind: str, encoding: str
) -> None:
    body = gzip.compress(json.dumps(ORDER | {"method": "GET"}).encode())
    headers = cloud.headers() | {"Content-Type": kind, "Content-Encoding": encoding}
    response = await cloud.http.post("/v1/device/control/send", headers=headers, content=body)
    assert response.status_code == 400
    assert response.json()["message"].startswith(f'Content-Encoding: got "{encoding}", expected ')


async def test_a_body_whose_encoding_is_none_is_read(cloud: Any) -> None:
    cloud.bind()
    headers = cloud.headers() | {"Content-Encoding": "Identity"}
    body = {"deviceUuid": UUID, "name": "小兔"}
    response = await cloud.http.put("/v1/device/name/update", headers=headers, json=body)
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            f"/device/resource?deviceUuid={UUID}&deviceUuid=0083000000000b",
            'deviceUuid: got "0083000000000b", expected one value in the query',
        ),
        ("/device/bind/list?limit=5&limit=6", 'limit: got "6", expected one value in the query'),
        ("/device/bind/list?limit=5&limit=", 'limit: got "", expected one value in the query'),
    ],
)
async def test_a_query_with_two_values_is_refused(cloud: Any, path: str, words: str) -> None:
    cloud.bind()
    response = await cloud.http.get(f"/v1{path}", headers=cloud.headers())
    assert response.status_code == 400
    assert response.json()["message"] == words


@pytest.mark.parametrize(
    "path",
    [
        f"/device/resource?deviceUuid={UUID}&deviceUuid={UUID}",
        "/device/bind/list?limit=5&more=%FF&more=%FF&start=0",
    ],
)
async def test_a_query_that_says_the_same_twice_is_read(cloud: Any, path: str) -> None:
    cloud.bind()
    response = await cloud.http.get(f"/v1{path}", headers=cloud.headers())
    assert response.status_code == 200
