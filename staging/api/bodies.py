"""Where the parameters of a POST or PUT are: in a JSON body, a form or the query, by any Content-Type.

The document lists the parameters of such a request and shows a JSON body beside it. Programs send JSON as
``application/x-www-form-urlencoded`` (curl's ``-d``), as ``text/plain`` (a browser's fetch) or without a type, forms
(requests' ``data=``, and in parts: curl's ``-F``, a page's FormData), and parameters in the URL. The routes read JSON;
`AnyForm` makes JSON of the others. A request that is JSON by its type and has no query is passed on as it is. Wherever a
parameter is, it has one value: which of two an app meant, no reader can know (docs/adr/0055).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wire.errors import FieldError

# The parameters that are lists: repeated, or joined by commas, in a form or a query.
LISTS = frozenset({"deviceUuids"})
# The document's longest request has four parameters, one of them with twenty values.
FIELDS_LIMIT = 64
# What is sent once is what is meant: parameters that must not be repeated in an error.
_SECRETS = frozenset({"token"})
_WITH_BODY = frozenset({"POST", "PUT"})
# RFC 9110, 8.4.1: no encoding.
_PLAIN = "identity"
_PARTS = "multipart/form-data"
# RFC 2046, 5.1.1: a boundary has at most 70 characters.
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))', re.IGNORECASE)
_DISPOSITION = re.compile(
    rb"^content-disposition:[ \t]*form-data(;[^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_NAME = re.compile(rb';[ \t]*name=(?:"([^"]*)"|([^\s";]+))', re.IGNORECASE)
_IS_FILE = re.compile(rb";[ \t]*filename\*?=", re.IGNORECASE)


def merged(body: bytes, query: bytes, kind: str = "") -> bytes:
    """Return one JSON object with the parameters of a body and of a query.

    ``body`` is a JSON object, a form, or empty; ``kind`` is its Content-Type, which only a form in parts needs. A body
    that is none of these is returned as it is: the error about it is the route's.

    Raises:
        FieldError: a parameter has one value in the query and another in the body, there are too many, or a form in
            parts has a file or no end.
    """
    found = _read_parts(body, kind) if _essence(kind) == _PARTS else _read_body(body)
    if found is None:
        return body
    for name, value in _fields(query, "the query").items():
        if name in found and _plain(found[name]) != _plain(value):
            what = "the same value in the query and in the body"
            raise FieldError(name, found[name], what, secret=name in _SECRETS)
        found.setdefault(name, value)
    return json.dumps(found).encode("utf-8")


def read_json(body: bytes) -> Any:
    """Return what a JSON text says; a member that stands twice in one object has the same value both times.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is too deep.
        FieldError: a member has two values.
    """
    return json.loads(body, object_pairs_hook=_members)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        # Only what stands twice is compared: to render all at each depth would stop the event loop for half a second.
        # 1 is not true, although Python says so.
        if name in found and json.dumps(value) != json.dumps(found[name]):
            raise FieldError(name, value, "one value in the JSON object", secret=name in _SECRETS)
        found[name] = value
    return found


def refuse_two_values(query: bytes) -> None:
    """Raise FieldError if a parameter of a query that is no list has two values; all else is the route's to judge."""
    text = query.decode("utf-8", "replace")
    if text.count("=") > 1:
        _once_each(parse_qsl(text, keep_blank_values=True), "the query")


def _read_body(body: bytes) -> dict[str, Any] | None:
    if not body.strip():
        return {}
    try:
        value = read_json(body)
    except FieldError:
        raise
    except (ValueError, RecursionError):
        # A text without "=" is no form; what begins as JSON was meant as JSON.
        if b"=" not in body or body.lstrip()[:1] in b'{["':
            return None
        return _fields(body, "the form")
    return value if isinstance(value, dict) else None


def _essence(kind: str) -> str:
    return kind.partition(";")[0].strip().lower()


def _read_parts(body: bytes, kind: str) -> dict[str, Any]:
    """Return the fields of a form in parts (RFC 7578); raises FieldError."""
    found = _BOUNDARY.search(kind)
    pieces = [] if found is None else _pieces(body, (found[1] or found[2]).encode("latin-1"))
    if not pieces:
        raise FieldError("Content-Type", kind, "the boundary of the body's parts, and their end")
    if len(pieces) > FIELDS_LIMIT:
        raise FieldError("the form", len(pieces), f"at most {FIELDS_LIMIT} fields")
    return _once_each(_pairs(pieces), "the form")


def _pieces(body: bytes, boundary: bytes) -> list[bytes]:
    """Return what stands between the boundaries; nothing if the last one is missing."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]
    return pieces[:-1] if pieces and pieces[-1].startswith(b"--") else []


def _pairs(pieces: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    for piece in pieces:
        head, _, value = piece.partition(b"\r\n\r\n")
        told = _DISPOSITION.search(head)
        name = None if told is None else _NAME.search(told[1])
        if told is None or name is None:
            raise FieldError("the form", head.decode("utf-8", "replace"), "a name of each part")
        field = (name[1] or name[2] or b"").decode("utf-8", "replace")
        if _IS_FILE.search(told[1]):
            raise FieldError(field, "a file", "a value")
        try:
            yield field, value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FieldError(field, value, "UTF-8", secret=True) from error


def _fields(text: bytes, what: str) -> dict[str, Any]:
    """Return the fields of a form or query; raises FieldError."""
    try:
        pairs = parse_qsl(
            text.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FIELDS_LIMIT,
        )
    except ValueError as error:
        expected = f"UTF-8, percent-encoded, at most {FIELDS_LIMIT} fields"
        raise FieldError(
            what, text[:80].decode("utf-8", "replace"), expected, secret=True
        ) from error
    return _once_each(pairs, what)


def _once_each(pairs: Iterable[tuple[str, str]], what: str) -> dict[str, Any]:
    """Return the fields, each with its one value, or as a list; raises FieldError for a second one."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        # PHP and jQuery write the name of a list with brackets.
        if (several := name.removesuffix("[]")) in LISTS:
            fields.setdefault(several, []).extend(_list(value))
        elif fields.setdefault(name, value) != value:
            raise FieldError(name, value, f"one value in {what}", secret=name in _SECRETS)
    return fields


def _list(value: str) -> list[Any]:
    if value.startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return [value]  # the route says what is wrong with it
        return found if isinstance(found, list) else [value]
    return value.split(",") if value else []


def _plain(value: object) -> object:
    """Return a value as a form writes it, for comparison: 480 and "480" are the same id."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class AnyForm:
    """An ASGI application that hands its inner one each POST and PUT below ``prefix`` as JSON, and refuses what has two meanings."""

    def __init__(self, app: ASGIApp, prefix: str, forms: frozenset[str], refuse: Any) -> None:
        """Wrap ``app``.

        Args:
            app: the application.
            prefix: the path below which it is done.
            forms: paths of pages that read their own forms.
            refuse: makes the response to a FieldError of a path.
        """
        self._app, self._prefix, self._forms, self._refuse = app, prefix, forms, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not self._concerns(scope):
            await self._app(scope, receive, send)
            return
        try:
            if scope["method"] not in _WITH_BODY:
                refuse_two_values(scope["query_string"])
            elif (read := await _read(scope, receive)) is None:
                return
            else:
                scope, receive = read
        except FieldError as error:
            await self._refuse(error, scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _concerns(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["path"] in self._forms:
            return False
        return bool(scope["path"].startswith(self._prefix))


async def _read(scope: Scope, receive: Receive) -> tuple[Scope, Receive] | None:
    """Return the request with its parameters as JSON, and what its body is received from; None if the client went away.

    Raises:
        FieldError: a parameter has two values, or the body has an encoding.
    """
    headers = Headers(scope=scope)
    encoding, kind = headers.get("content-encoding", _PLAIN), headers.get("content-type", "")
    if encoding.strip().lower() != _PLAIN:
        raise FieldError(
            "Content-Encoding", encoding, f'a body as it is ("{_PLAIN}", or no such header)'
        )
    body = await _whole(receive)
    if body is None:
        return None
    if _essence(kind) == "application/json" and not scope["query_string"]:
        _read_body(body)
        return scope, _once(body, receive)
    body = merged(body, scope["query_string"], kind)
    scope = {**scope, "headers": list(scope["headers"]), "query_string": b""}
    changed = MutableHeaders(scope=scope)
    changed["content-type"] = "application/json"
    changed["content-length"] = str(len(body))
    return scope, _once(body, receive)


async def _whole(receive: Receive) -> bytes | None:
    """Return a request's body, whose length the caller bounds; None if the client went away."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _once(body: bytes, rest: Receive) -> Receive:
    """Return a source of one message with the whole body, and then of what follows."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await rest()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
