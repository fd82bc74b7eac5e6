"""What `tools.fuzz` feeds to the cloud's readers: the open API's forms, bodies and headers, what the wire log and the advisor look at, what is uploaded."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from staging.advise import mqtt_packets
from staging.advise.message import decode
from staging.api.bodies import merged
from staging.api.params import (
    BindBody,
    ControlBody,
    DeviceBody,
    DevicesBody,
    NameBody,
    UpdateBody,
    validation_error,
)
from staging.errors import StagingError
from staging.identity import signature
from staging.packages.deb_file import read_deb
from staging.recognition.title_lists import parse_titles
from staging.releases.parts import read_parts
from staging.times import parse_iso
from staging.wirelog import coap_view, mqtt_view
from tools.fuzz_target import Target, as_text
from wire.errors import WireError
from wire.framing import encode_frame

UUID = "0083000000000a"
_TOKEN = "0123456789abcdef" * 2
_BODIES: dict[str, tuple[type[BaseModel], dict[str, object]]] = {
    "/device/unbind": (DeviceBody, {"deviceUuid": UUID}),
    "/device/bind": (BindBody, {"deviceUuid": UUID, "token": _TOKEN}),
    "/device/name/update": (NameBody, {"deviceUuid": UUID, "name": "小熊"}),
    "/device/control/send": (
        ControlBody,
        {"deviceUuid": UUID, "method": "PUT", "name": "volume", "content": "5"},
    ),
    "/device/query/data/connect": (DevicesBody, {"deviceUuids": [UUID]}),
    "/device/ota/update": (UpdateBody, {"deviceUuid": UUID, "packageId": 1, "strategyId": "2"}),
}
_GET_VOLUME = bytes.fromhex("4101123401b6") + b"volume"


def _form(data: bytes) -> None:
    """Read a request: its Content-Type and its query in a line each, then its body."""
    kind, _, rest = data.partition(b"\n")
    query, _, body = rest.partition(b"\n")
    _body(merged(body, query, kind.decode("latin-1")))


def _body(data: bytes) -> None:
    """Read a body as each of the open API's; whatever is wrong with it is told as the routes tell it."""
    for path, (model, _) in _BODIES.items():
        try:
            model.model_validate_json(data)
        except ValidationError as error:
            faults = [each | {"loc": ("body", *each["loc"])} for each in error.errors()]
            str(validation_error(path, faults))
        except StagingError:
            continue


def _time(data: bytes) -> None:
    parse_iso(as_text(data), "startTime")


def _frames(data: bytes) -> None:
    json.dumps(coap_view.describe(data))


def _packets(data: bytes) -> None:
    json.dumps(mqtt_view.describe(data))


def _advised(data: bytes) -> None:
    """Read a device's stream as the advisor's broker does."""
    readers = {
        mqtt_packets.CONNECT: mqtt_packets.read_connect,
        mqtt_packets.PUBLISH: mqtt_packets.read_publish,
        mqtt_packets.SUBSCRIBE: mqtt_packets.read_subscribe,
    }
    for packet in mqtt_packets.PacketDecoder().feed(data):
        if packet.kind in readers:
            readers[packet.kind](packet)


def _deb(data: bytes) -> None:
    """Read a package, from a disk as the cloud does."""
    with tempfile.NamedTemporaryFile(prefix="fuzz-") as file:
        file.write(data)
        file.flush()
        read_deb(Path(file.name))


def _debian(pack: bool) -> bytes:  # noqa: FBT001  # one fact
    """Return a small Debian package, its fields compressed or not."""
    fields = b"Package: story-lamp\nVersion: 1:1.0-1\nArchitecture: all\n"
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        member = tarfile.TarInfo("./control")
        member.size = len(fields)
        tar.addfile(member, io.BytesIO(fields))
    name, data = "control.tar", plain.getvalue()[:1024]  # tarfile would fill 10 KiB with zeros
    if pack:
        name, data = "control.tar.gz", gzip.compress(data, mtime=0)
    made = b"!<arch>\n"
    for each, content in (("debian-binary", b"2.0\n"), (name, data)):
        made += f"{each:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        made += b"\n" * (len(content) % 2)
    return made


def _forms() -> list[bytes]:
    query = f"deviceUuid={UUID}&packageId=1".encode()
    part = b'--b\r\nContent-Disposition: form-data; name="deviceUuid"\r\n\r\n' + UUID.encode()
    return [
        b"application/x-www-form-urlencoded\n\n" + query,
        b"application/json\n" + query + b'\n{"method":"PUT"}',
        b'multipart/form-data; boundary="b"\n\n' + part + b"\r\n--b--\r\n",
    ]


def _mqtt() -> list[bytes]:
    said = mqtt_packets.Publish(
        f"story/{UUID}/up/report", b"{}", 1, 7, users=(("method", "POST"), ("path", "report"))
    )
    connect = mqtt_packets.field(b"MQTT") + b"\5\xc2\0\x14\0" + b"".join(
        mqtt_packets.field(each) for each in (UUID.encode(), UUID.encode(), b"token")
    )  # fmt: skip
    subscribe = b"\0\1\0" + mqtt_packets.field(f"story/{UUID}/down/#".encode()) + b"\1"
    return [
        mqtt_packets.write_publish(said),
        mqtt_packets.packet(mqtt_packets.CONNECT, connect),
        mqtt_packets.packet(mqtt_packets.SUBSCRIBE, subscribe, 2),
    ]


def staging_targets() -> Sequence[Target]:
    """Return all of them."""
    sbom = {
        "bomFormat": "CycloneDX", "metadata": {"component": {"name": "story-agent", "version": "1.0"}},
        "components": [{"name": "tuf", "version": "6.0.0"}],
    }  # fmt: skip
    signed = signature.sign("a" * signature.NONCE_LENGTH, "key", "secret").encode()
    return [
        Target("forms of the open API", _forms(), _form),
        Target("bodies of the open API", [json.dumps(good).encode() for _, good in _BODIES.values()], _body),
        Target("times of the open API", [b"2017-04-14T08:31:10.5+08:00"], _time),
        Target("signatures of the open API", [signed], lambda data: signature.parse(as_text(data))),
        Target("frames in the wire log", [encode_frame(_GET_VOLUME)], _frames, ()),
        Target("packets in the wire log", _mqtt(), _packets, ()),
        Target("the advisor's CoAP", [_GET_VOLUME], decode, ()),
        Target("the advisor's MQTT", _mqtt(), _advised, (mqtt_packets.PacketError, IndexError, UnicodeDecodeError)),
        Target("lists of titles", [b'{"titles":["a","b"]}', "小兔子\n小熊\n".encode()], lambda data: parse_titles(data, "list")),
        Target("lists of a release's parts", [json.dumps(sbom).encode()], read_parts),
        Target("Debian packages", [_debian(pack=False), _debian(pack=True)], _deb, (StagingError, WireError)),
    ]  # fmt: skip
