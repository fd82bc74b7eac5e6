"""Requests, answers and routes of the local API, without a socket."""

from __future__ import annotations

from typing import Any

import pytest

from agent.local.web import JSONResponse, Message, Request, Response, Route, Scope, Site


def scope_of(method: str, path: str, query: bytes = b"", **headers: str) -> Scope:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"method": method, "path": path, "query_string": query, "headers": raw, "client": None}


async def nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def ask(site: Any, scope: Scope) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await site(scope, nothing, send)
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"]


async def told(request: Request) -> Response:
    return JSONResponse(dict(request.path_params))


SITE = Site([
    Route("/page/points/{name}", told, ["PUT"]),
    Route("/page/{name:path}", told, ["GET"]),
    Route("/a.b", told, ["DELETE"]),
])  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("PUT", "/page/points/volume", 200, b'{"name":"volume"}'),
        ("GET", "/page/points/volume", 200, b'{"name":"points/volume"}'),
        ("GET", "/page/", 200, b'{"name":""}'),
        ("GET", "/page/a/../b", 200, b'{"name":"a/../b"}'),
        ("GET", "/page/小熊", 200, '{"name":"小熊"}'.encode()),
        ("PUT", "/page/points/", 405, b"Method Not Allowed"),
        ("PUT", "/page/points/a/b", 405, b"Method Not Allowed"),
        ("GET", "/page", 404, b"Not Found"),
        ("GET", "/page/x\n", 404, b"Not Found"),
        ("DELETE", "/aXb", 404, b"Not Found"),
        ("DELETE", "/a.b\n", 404, b"Not Found"),
        ("HEAD", "/page/x", 200, b""),
        ("get", "/page/x", 405, b"Method Not Allowed"),
    ],
)
async def test_the_first_route_with_path_and_method_answers(
    method: str, path: str, status: int, body: bytes
) -> None:
    found = await ask(SITE, scope_of(method, path))
    assert (found[0], found[2]) == (status, body)
    if status == 405:
        assert found[1][b"allow"]


def test_what_a_request_says() -> None:
    scope = scope_of("GET", "/", b"a=1&a=2&b=&c=%E5%B0%8F&d", cookie="x=1; y=a=b; =z; w; x=2")
    scope["headers"] += [(b"X-Twice", b"first"), (b"x-twice", b"second"), (b"latin", b"\xe9")]
    request = Request(scope, nothing)
    assert request.query_params == {"a": "2", "b": "", "c": "小", "d": ""}
    assert request.cookies == {"x": "2", "y": "a=b", "": "z"}
    assert (request.headers["x-twice"], request.headers["latin"]) == ("first", "é")
    assert request.client is None


async def test_answers_have_a_length_and_a_type_where_they_have_a_body() -> None:
    answer = Response("小", 201, {"X-A": "1"}, "text/plain")
    answer.set_cookie("n", "v", max_age=5, secure=True)
    status, headers, body = await ask(answer, scope_of("GET", "/"))
    assert (status, body.decode()) == (201, "小")
    assert headers == {
        b"x-a": b"1", b"content-type": b"text/plain; charset=utf-8", b"content-length": b"3",
        b"set-cookie": b"n=v; HttpOnly; Max-Age=5; Path=/; SameSite=strict; Secure",
    }  # fmt: skip
    status, headers, _ = await ask(Response(status_code=304), scope_of("GET", "/"))
    assert (status, headers) == (304, {})
    with pytest.raises(ValueError, match="JSON"):
        JSONResponse(float("nan"))
