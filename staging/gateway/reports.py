"""Translates a device's report into the effects that the store applies (`staging.store.effects`).

Every key is validated before the first effect is applied, so an invalid report changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from staging.store.effects import (
    AbilitiesSeen,
    BindTokenSeen,
    Effect,
    EraseSeen,
    Heartbeat,
    OtaEventSeen,
    OtaStateSeen,
    RunningVersion,
    VoiceSeen,
    Wanted,
)
from staging.store.history import HistoryPoint, When
from staging.store.stored_json import readable
from wire.abilities import MEMBER, parse_reads
from wire.datapoints import DataType
from wire.errors import FieldError, WireError
from wire.family import KEY_VOICE_ERASE, parse_erase
from wire.fields import dump_object, get_object
from wire.numbered import ReportBatch
from wire.ota import parse_event, parse_state, version_key
from wire.profile import BIND_TOKEN_PATTERN
from wire.reports import (
    KEY_ALIVE,
    KEY_DEVICE_INFO,
    KEY_OTA_EVENT,
    KEY_OTA_STATE,
    KEY_PACKAGE_INFO,
    KEYS_VOICE,
    parse_package_sboms,
    parse_package_support,
    parse_package_version,
)
from wire.text import is_printable
from wire.utterance_times import KEY_UTTERANCE_TIMES, parse_times
from wire.voice import VoiceSegment, parse_segment, unpack_frames

# Our agent's reports have a few keys; the limit keeps one message from adding thousands of rows.
KEYS_LIMIT = 64
KEY_LENGTH_LIMIT = 64
# Bytes of a data point's value as JSON: the longest of our agent's, a log of a failed trial, has some 8 KiB.
VALUE_LIMIT = 32 * 1024
# Frames and bytes of a segment: the document's has 15 of 38 bytes. A second of the longest frames fits.
SEGMENT_FRAMES_LIMIT = 50
SEGMENT_BYTES_LIMIT = 16 * 1024

# A number of 64 bits has at most nineteen digits; a longer one is refused as it is.
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_SWITCHES = {"true": True, "false": False, "1": True, "0": False}


def decide_all(
    uuid: str,
    batch: ReportBatch,
    types: Mapping[str, str] = {},  # not changed
) -> tuple[list[Wanted], dict[int, str]]:
    """Return what each report of a request wants, and why reports of a batch are refused, by number.

    ``types`` are the device's data points and their types, as far as they are known.

    Raises:
        WireError: a report that came alone is refused.
    """
    wanted: list[Wanted] = []
    refused: dict[int, str] = {}
    for report in batch.reports:
        when = None if report.time is None else When(report.time, report.late)
        try:
            wanted.append(Wanted(decide(uuid, report.data, types), report.number, when))
        except WireError as error:
            if not batch.is_batch:
                raise
            refused[report.number] = str(error)
    return wanted, refused


def is_light(wanted: Sequence[Wanted]) -> bool:
    """Return whether reports tell nothing but that the device is there, and what it reads."""
    return all(
        isinstance(effect, (Heartbeat, AbilitiesSeen)) and each.when is None
        for each in wanted
        for effect in each.effects
    )


def decide(
    uuid: str,
    data: Mapping[str, object],
    types: Mapping[str, str] = {},  # not changed
) -> list[Effect]:
    """Return the effects of a report of the device ``uuid``, in the order of its keys.

    Raises:
        WireError: a key or member is invalid; the message names it. The whole report is refused.
    """
    if len(data) > KEYS_LIMIT:
        raise WireError(f"data: got {len(data)} keys, expected at most {KEYS_LIMIT}")
    found = [_effects(uuid, key, value, types.get(key)) for key, value in data.items()]
    return [effect for each in found for effect in each]


def _effects(uuid: str, key: str, value: object, kind: str | None) -> Iterator[Effect]:
    if key == KEY_ALIVE:
        yield Heartbeat()
    elif key in KEYS_VOICE:
        yield VoiceSeen(key, _segment(value))
    elif key == KEY_OTA_EVENT:
        yield OtaEventSeen(parse_event(value))
    elif key == KEY_OTA_STATE:
        yield OtaStateSeen(*parse_state(value))
    elif key == KEY_PACKAGE_INFO:
        version = parse_package_version(value)
        version_key(version, field="package_info.os.version")
        yield RunningVersion(version, parse_package_sboms(value), parse_package_support(value))
    elif key == KEY_UTTERANCE_TIMES:
        yield HistoryPoint(key, parse_times(value).to_json())
    elif key == KEY_VOICE_ERASE:
        yield EraseSeen(parse_erase(value))
    elif key == KEY_DEVICE_INFO:
        yield from _device_info(uuid, value)
    else:
        yield _data_point(key, _as_described(kind, value), kind)


def _segment(value: object) -> VoiceSegment:
    segment = parse_segment(value)
    size = len(segment.voice_data)
    if size > SEGMENT_BYTES_LIMIT:
        raise WireError(
            f"voice.voice_data: got {size} bytes, expected at most {SEGMENT_BYTES_LIMIT}"
        )
    frames = len(unpack_frames(segment.voice_data))
    if frames > SEGMENT_FRAMES_LIMIT:
        expected = f"expected at most {SEGMENT_FRAMES_LIMIT}"
        raise WireError(f"voice.voice_data: got {frames} frames, {expected}")
    return segment


def _device_info(uuid: str, value: object) -> Iterator[Effect]:
    source = get_object({KEY_DEVICE_INFO: value}, KEY_DEVICE_INFO)
    reported = source.get("uuid", uuid)
    if reported != uuid:
        raise FieldError("device_info.uuid", reported, f"the uuid of this connection, {uuid}")
    # 2017 firmware sends neither uuid nor bindToken nor what it reads.
    if MEMBER in source:
        yield AbilitiesSeen(parse_reads(source, path=f"{KEY_DEVICE_INFO}."))
    bind_token = source.get("bindToken")
    if bind_token is None:
        return
    if not isinstance(bind_token, str) or not BIND_TOKEN_PATTERN.fullmatch(bind_token):
        expected = "32 hexadecimal digits"
        raise FieldError("device_info.bindToken", bind_token, expected, secret=True)
    yield BindTokenSeen(bind_token)


def _data_point(key: str, value: object, kind: str | None) -> HistoryPoint:
    if not (is_printable(key) and 0 < len(key) <= KEY_LENGTH_LIMIT):
        raise FieldError("data", key, f"keys of 1 to {KEY_LENGTH_LIMIT} printable characters")
    expected = _expected(kind, value)
    if expected:
        raise FieldError(key, value, expected)
    if readable(value) != value:
        raise FieldError(key, value, "numbers of at most 64 bits")
    if isinstance(value, (str, list, dict)):
        size = len(dump_object({key: value}))
        if size > VALUE_LIMIT:
            raise WireError(f"{key}: got {size} bytes, expected at most {VALUE_LIMIT}")
    return HistoryPoint(key, value)


def _as_described(kind: str | None, value: object) -> object:
    """Return a value as its data point's type has it: firmware tells numbers and switches as texts too."""
    if isinstance(value, str) and kind == DataType.INT and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, str) and kind == DataType.BOOL:
        return _SWITCHES.get(value, value)
    return value


def _expected(kind: str | None, value: object) -> str:
    """Return what a value of a data point of this type should be; "": it fits.

    A text may be told as an object, as ours tells what plays; null is "not known" for each.
    """
    if value is None or kind is None:
        return ""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if kind == DataType.INT and not is_number:
        return "an integer"
    if kind == DataType.BOOL and not (isinstance(value, bool) or value in {0, 1}):
        return "true or false"
    return ""
