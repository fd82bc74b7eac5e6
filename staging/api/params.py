"""Request parameters: their types, and the error code for an invalid value of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema

from staging.api.failures import ApiError, response_to
from staging.errors import ErrorCode, RefusedError
from staging.store import history
from staging.store.devices import NAME_LIMIT
from staging.times import parse_iso
from wire.errors import FieldError, MissingFieldError
from wire.fields import INT64_MAX
from wire.text import parse_text

HISTORY_LIMIT, HISTORY_LIMIT_DEFAULT = 100, 20
DEVICES_LIMIT = 20
LIST_LIMIT, LIST_LIMIT_DEFAULT = 1000, 20


@dataclass(frozen=True, slots=True)
class _Field:
    """A parameter: the error code of an invalid value, None for 400, and what is expected.

    A ``secret`` value is not repeated in the message.
    """

    code: ErrorCode | None
    expected: str
    secret: bool = False


_A_TIME = "a UTC time such as 2017-04-14T08:31:10Z, or with an offset such as +08:00"

_FIELDS: Mapping[str, _Field] = {
    "deviceUuid": _Field(ErrorCode.DEVICE_UUID_INVALID, "14 hexadecimal digits"),
    "token": _Field(
        ErrorCode.DEVICE_TOKEN_INVALID, "a bind token, 32 hexadecimal digits", secret=True
    ),
    "method": _Field(ErrorCode.METHOD_INVALID, '"GET" or "PUT"'),
    "name": _Field(ErrorCode.COMMAND_NAME_INVALID, "the name of a data point"),
    "content": _Field(None, "a string"),
    "deviceUuids": _Field(
        ErrorCode.DEVICE_UUID_INVALID, "a list of uuids of 14 hexadecimal digits"
    ),
    "propertyKey": _Field(ErrorCode.QUERY_PARAMS_INVALID, "the key of a data point"),
    "propertyType": _Field(ErrorCode.QUERY_PARAMS_INVALID, '"REPORT" or "RESOURCE"'),
    "startTime": _Field(ErrorCode.QUERY_PARAMS_INVALID, _A_TIME),
    "endTime": _Field(ErrorCode.QUERY_PARAMS_INVALID, _A_TIME),
    "limit": _Field(ErrorCode.QUERY_PARAMS_INVALID, f"an integer from 1 to {HISTORY_LIMIT}"),
    "nextPage": _Field(ErrorCode.QUERY_PARAMS_INVALID, "the nextPage of an answer, in ms"),
    "packageId": _Field(ErrorCode.OTA_PARAMS_ERROR, "the id of a package, an integer"),
    "strategyId": _Field(ErrorCode.OTA_PARAMS_ERROR, "the id of a strategy, an integer"),
    "start": _Field(ErrorCode.QUERY_PARAMS_INVALID, "an integer from 0"),
}
# Endpoints where the same name has another meaning.
_FIELDS_OF: Mapping[tuple[str, str], _Field] = {
    ("/device/name/update", "name"): _Field(
        None, f"1 to {NAME_LIMIT} printable characters, not all of them blank"
    ),
    ("/device/bind/list", "limit"): _Field(
        ErrorCode.QUERY_PARAMS_INVALID,
        f"an integer from 1 to {LIST_LIMIT}",
    ),
    ("/device/ota/version/info", "packageId"): _Field(
        ErrorCode.PACKAGE_ID_INVALID,
        "the id of a package, an integer",
    ),
}


def _empty_is_none(value: object) -> object:
    # The document's URLs name every parameter; apps leave unused ones empty, or send null.
    return None if value in ("", "null") else value


def _no_truth_value(value: object) -> object:
    # pydantic takes true for 1, and with it another version's id.
    if isinstance(value, bool):
        raise ValueError("a truth value")  # noqa: TRY004  # what pydantic reads
    return value


def _or_default(default: int) -> BeforeValidator:
    return BeforeValidator(lambda value: default if _empty_is_none(value) is None else value)


def _start_time(value: object) -> object:
    text = _empty_is_none(value)
    return None if text is None else parse_iso(str(text), "startTime")[0]


def _end_time(value: object) -> object:
    text = _empty_is_none(value)
    if text is None:
        return None
    end, is_second = parse_iso(str(text), "endTime")
    # The whole second that it names is included.
    return end + 999 if is_second else end


def _list_of_uuids(values: list[str]) -> list[str]:
    if not values:
        raise RefusedError(ErrorCode.DEVICE_ID_EMPTY)
    if len(values) > DEVICES_LIMIT:
        raise RefusedError(ErrorCode.TOO_MANY_DEVICES, f"got {len(values)}")
    return values


def _name(value: str) -> str:
    return parse_text("name", value, NAME_LIMIT)


Uuid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{14}$"), AfterValidator(str.lower)]
BindToken = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{32}$")]
# The range stands inside of what comes before it: outside of it, the description would not have it as the schema's.
Id = Annotated[Annotated[int, Field(ge=0, le=INT64_MAX)], BeforeValidator(_no_truth_value)]
OptionalId = Annotated[Id | None, BeforeValidator(_empty_is_none)]

UuidQuery = Annotated[Uuid, Query(alias="deviceUuid")]
OptionalUuidQuery = Annotated[
    Uuid | None, BeforeValidator(_empty_is_none), Query(alias="deviceUuid")
]
KeyQuery = Annotated[
    Annotated[str, Field(max_length=64)] | None,
    BeforeValidator(_empty_is_none),
    Query(alias="propertyKey"),
]
KindQuery = Annotated[
    Literal["REPORT", "RESOURCE"] | None,
    BeforeValidator(_empty_is_none),
    Query(alias="propertyType"),
]
_TIME = WithJsonSchema(
    {
        "type": "string",
        "pattern": r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[-+ ]\d\d(:?[0-5]\d)?))?$",
        "description": "UTC, or with an offset",
    }
)
StartQuery = Annotated[int | None, BeforeValidator(_start_time), _TIME, Query(alias="startTime")]
EndQuery = Annotated[int | None, BeforeValidator(_end_time), _TIME, Query(alias="endTime")]
RealtimeKey = Annotated[str, Query(alias="propertyKey", min_length=1, max_length=64)]
TokenQuery = Annotated[BindToken, Query()]
PackageQuery = Annotated[Id, Query(alias="packageId")]
LimitQuery = Annotated[
    Annotated[int, Field(ge=1, le=HISTORY_LIMIT)], _or_default(HISTORY_LIMIT_DEFAULT), Query()
]
PageQuery = Annotated[OptionalId, Query(alias="nextPage")]


async def _history_query(  # a coroutine, so that no thread is used (see auth)
    key: KeyQuery = None,
    kind: KindQuery = None,
    start: StartQuery = None,
    end: EndQuery = None,
    before: PageQuery = None,
    limit: LimitQuery = HISTORY_LIMIT_DEFAULT,
) -> history.Query:
    return history.Query(key, kind, start, end, before, limit)


HistoryQuery = Annotated[history.Query, Depends(_history_query)]


@dataclass(frozen=True, slots=True)
class Listing:
    """The requested part of a list."""

    start: int
    limit: int


async def _listing(
    start: Annotated[Annotated[int, Field(ge=0, le=INT64_MAX)], _or_default(0), Query()] = 0,
    limit: Annotated[
        Annotated[int, Field(ge=1, le=LIST_LIMIT)], _or_default(LIST_LIMIT_DEFAULT), Query()
    ] = LIST_LIMIT_DEFAULT,
) -> Listing:
    return Listing(start, limit)


ListQuery = Annotated[Listing, Depends(_listing)]


class DeviceBody(BaseModel):
    """POST /device/unbind."""

    deviceUuid: Uuid  # noqa: N815  # the document's spelling, as everywhere below


class BindBody(DeviceBody):
    """POST /device/bind; ``token`` is the bind token."""

    token: BindToken


class NameBody(DeviceBody):
    """PUT /device/name/update."""

    # The limit is of the name as it is kept, so it is only documented here.
    name: Annotated[
        str,
        Field(json_schema_extra={"minLength": 1, "maxLength": NAME_LIMIT}),
        AfterValidator(_name),
    ]


class ControlBody(DeviceBody):
    """POST /device/control/send; ``content`` is for PUT only."""

    method: Literal["GET", "PUT"]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    content: Annotated[str, Field(max_length=4096)] | None = None


class DevicesBody(BaseModel):
    """POST /device/query/data/connect."""

    deviceUuids: Annotated[  # noqa: N815
        list[Uuid],
        AfterValidator(_list_of_uuids),
        # Only documented here; the check above has an error code for each.
        Field(json_schema_extra={"minItems": 1, "maxItems": DEVICES_LIMIT}),
    ]


class UpdateBody(DeviceBody):
    """POST /device/ota/update; ids come as numbers or as their digits."""

    packageId: Id  # noqa: N815
    strategyId: OptionalId = None  # noqa: N815


def validation_error(path: str, errors: Sequence[Any]) -> ApiError:
    """Turn a request's first validation error into one that names field, value and expectation.

    ``path`` is the endpoint's path below ``/v1``.
    """
    first = errors[0]
    places = [part for part in first["loc"][1:] if isinstance(part, str)]
    if first["type"] == "json_invalid":
        return ApiError("400", 400, "body: not JSON (a JSON object expected)")
    if not places:
        body = first.get("input")
        if body is None:
            return ApiError("400", 400, str(MissingFieldError("body", "a JSON object")))
        return ApiError("400", 400, str(FieldError("body", body, "a JSON object", secret=True)))
    field = places[0]
    known = _FIELDS_OF.get((path, field)) or _FIELDS.get(field) or _Field(None, first["msg"])
    if first["type"] == "missing":
        problem: FieldError = MissingFieldError(field, known.expected)
    else:
        problem = FieldError(field, first["input"], known.expected, secret=known.secret)
    if known.code is None:
        return ApiError("400", 400, str(problem))
    return response_to(RefusedError(known.code, str(problem)))
