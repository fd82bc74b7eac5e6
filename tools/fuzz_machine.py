"""What `tools.fuzz` feeds to the readers behind the wire: orders, profiles, playlists, sound, packages, metadata, records on the card."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sqlite3
import struct
import tarfile
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.first.profile_file import ProfileFault
from agent.first.profile_file import parse as parse_profile
from agent.link.outbox_salvage import read_rows
from agent.local.page.sessions import parse_sessions
from agent.voice.ledger_book import Book, Entry, dump_book, parse_book
from audio.embedding import SIZE
from audio.errors import AudioError
from audio.speex import SpeexDecoder, SpeexEncoder
from audio.wake_match import Template, Word
from audio.wav import read_wav
from base.clock import parse_record as parse_time
from machine.battery import parse_curve
from machine.gpio_chip import parse_edges
from machine.mpv_launcher import OrderError
from machine.mpv_launcher import parse as parse_player_order
from machine.wake_words import StoredWord, WakeWordError, read_word
from machine.wake_words import to_bytes as word_to_bytes
from ota.errors import ContentError
from ota.fetch.bundle_map import parse_map
from ota.install.installer import UnpackLimits
from ota.install.package import INFO_NAME, ReleaseInfo, parse_info
from ota.install.rauc import parse_record as parse_rauc
from ota.install.unpack import unpack
from ota.launch.boot import BootRecordError, parse_boot
from ota.order.states import State, Step
from ota.order.task import Task, parse_task
from ota.trial.given_up import parse_given_up
from ota.trust.target import Target as Signed
from resources.loudness.limits import Limits, parse_limits
from resources.loudness.night import parse_night
from resources.online.cache import parse_pins, parse_record
from resources.online.kept_lists import parse_entries
from resources.playing.orders import parse_order as parse_play
from staging.identity.ca import ensure_authority
from tools.fuzz_metadata import metadata_targets
from tools.fuzz_target import Target, as_text
from transport.mqtt_bounds import has_too_many
from wire.answers import parse_answer
from wire.bench_helper import parse_told, parse_wanted
from wire.datapoints import parse_self_description
from wire.diag import parse_piece
from wire.family import KEY_VOICE_ERASE, parse_erase, parse_family
from wire.fields import dump_object, parse_object
from wire.lan_keys import parse_keys
from wire.ota import OtaOrder, order_payload, parse_event, parse_order
from wire.ota import parse_state as parse_ota_state
from wire.pairing import parse_pairing
from wire.playlist import ListKind, parse_list
from wire.profile import Profile, render_profile
from wire.reports import parse_package_sboms, parse_package_support
from wire.rules import parse_listening, parse_rules
from wire.sleep import parse_timer
from wire.spoken import read_timer
from wire.utterance_times import KEY_UTTERANCE_TIMES, parse_times
from wire.voice import parse_history_text, parse_segment, unpack_frames

UUID = "0083000000000a"
BASE = "http://127.0.0.1/list"
ORDER = OtaOrder("1", "1.0.1", "1.0.0", "http://127.0.0.1/p", 10, "0" * 32)
_ENTRY = {"sha256": "0" * 64, "version": "1", "times": 1, "transaction": "1", "reason": "no"}
_RATE = 8000
_MEMORY = "/dev/shm"  # noqa: S108  # a folder of our own in it
_LIMITS = UnpackLimits(files=100, bytes=2**20)


def _member(parse: Callable[[object], object], name: str) -> Callable[[bytes], object]:
    """Read a report's payload, and in it the value of one key."""
    return lambda data: parse(parse_object(data, "report").get(name))


def _texts(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(as_text(data))


def _wav() -> bytes:
    sound = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)
    body = (
        b"WAVEfmt "
        + struct.pack("<I", len(sound))
        + sound
        + b"data"
        + struct.pack("<I", 8)
        + b"\0" * 8
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _speex(data: bytes) -> None:
    with SpeexDecoder(_RATE) as decoder:
        decoder.decode(data)


def _frames() -> bytes:
    with SpeexEncoder(_RATE) as encoder:
        return encoder.encode(b"\1\2" * 160)


def _package() -> bytes:
    """Return a small package as `story-release` makes them, not compressed: what is broken then is the tar."""
    info = ReleaseInfo("lamp", "1.0.1", ">=3.11", (), ("agent",), 6)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in ((INFO_NAME, info.to_bytes()), ("lib/agent/音.py", b"x = 1\n")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return plain.getvalue()


class Unpacking:
    """Packages are unpacked into one folder, which is emptied each time."""

    def __init__(self) -> None:
        """Make a folder that goes with the program."""
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")

    def read_plain(self, data: bytes) -> None:
        """Unpack a broken tar inside sound compression."""
        self.read(gzip.compress(data, 1))

    def read(self, data: bytes) -> None:
        """Unpack what is taken for a package whose bytes were verified."""
        package = Path(self._folder.name) / "package"
        folder = Path(self._folder.name) / "release"
        package.write_bytes(data)
        signed = Signed("lamp/1.0.1.tar.gz", len(data), "0" * 64, "1.0.1", "lamp")
        shutil.rmtree(folder, ignore_errors=True)
        unpack(
            package,
            signed,
            folder,
            limits=_LIMITS,
            admit=lambda _: None,
            stop=threading.Event(),
            progress=lambda *_: None,
        )


def _profile() -> bytes:
    """Return a machine's profile, with an authority made for it."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        authority = ensure_authority(Path(folder))
    given = {"link": {"kind": "coap"}}
    profile = Profile(
        UUID, "0" * 32, "0" * 32, "127.0.0.1", 5684, 5683, authority, given, "0" * 12, 0
    )
    return render_profile(profile)


def _stored_word() -> bytes:
    points = ((0.5,) * SIZE,) * 2
    return word_to_bytes(StoredWord(Word("小熊", (Template(points, 0.5),))))


def _word(data: bytes) -> None:
    """Read a wake word's file, from a disk as the agent does."""
    with tempfile.NamedTemporaryFile(prefix="fuzz-") as file:
        file.write(data)
        file.flush()
        read_word(Path(file.name))


def _ledger() -> bytes:
    entry = Entry(1, 1_800_000_000, "button", 2.5, 1.5, 3000, 7)
    return dump_book(Book([entry], 2, 3))


def _publish() -> bytes:
    """Return a PUBLISH behind its fixed header, with more user properties than are read."""
    pairs = b"\x26\0\1a\0\1b" * 70
    return b"\0\1t\0\7" + bytes((len(pairs) & 127 | 128, len(pairs) >> 7)) + pairs


def _outbox(rows: int) -> bytes:
    """Return an outbox of small pages, one of its reports longer than a page."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        db = sqlite3.connect(Path(folder) / "db")
        db.execute("PRAGMA page_size=512")
        db.execute("CREATE TABLE report (id INTEGER PRIMARY KEY, key, body, size)")
        bodies = ['{"volume": 5}', '{"volume": "' + "音" * 300 + '"}'] * rows
        values = [("volume", body, len(body.encode())) for body in bodies[:rows]]
        db.executemany("INSERT INTO report (key, body, size) VALUES (?, ?, ?)", values)
        db.execute("DELETE FROM report WHERE id = 3")
        db.commit()
        db.close()
        return (Path(folder) / "db").read_bytes()


def _salvage(data: bytes) -> None:
    """Read a damaged outbox, from a disk as the agent does; the second half of a file is its log too."""
    memory = _MEMORY if Path(_MEMORY).is_dir() else None  # a card would be waited for
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory) as folder:
        path = Path(folder) / "outbox.sqlite"
        path.write_bytes(data)
        path.with_name(path.name + "-wal").write_bytes(data[len(data) // 2 :])
        read_rows(path).describe()


def _playlists() -> list[Target]:
    good = {
        ListKind.M3U: b"#EXTM3U\n#EXTINF:12,A\nhttp://127.0.0.1/a.mp3\nb.mp3\n",
        ListKind.PLS: b"[playlist]\nFile1=http://127.0.0.1/a.mp3\nTitle1=A\nLength1=3\n",
        ListKind.FEED: b'<?xml version="1.0" encoding="GBK"?><rss><channel><item><title>a</title>'
        b'<enclosure url="http://127.0.0.1/a.mp3"/><pubDate>Mon, 01 Jan 2024 00:00:00 GMT</pubDate>'
        b"</item></channel></rss>",
    }
    return [
        Target(kind.value, [list_], lambda data, kind=kind: parse_list(kind, data, BASE))  # type: ignore[misc]
        for kind, list_ in good.items()
    ]


def _orders() -> list[Target]:
    point = {
        "name": "volume", "resourceType": "", "type": "int", "label": "", "description": "",
        "pattern": {"min": 0, "max": 9}, "protocol": ["coap"], "method": ["GET"], "uri": "/volume",
    }  # fmt: skip
    segment = {
        "id": 1,
        "segment": 0,
        "rate": 8000,
        "eof": 0,
        "channel": 1,
        "voice_data": "BQAAAA==",
    }
    return [
        Target("orders to update", [order_payload(ORDER)], parse_order),
        Target("orders to play", ["播放小兔子".encode(), b'{"play":["a","b"],"from":"start"}'], _texts(parse_play)),
        Target("answers to speech", [b'{"id":1,"result":"not_found","titles":[{"title":"a","pinyin":"a1"}]}'], parse_answer),
        Target("families", [b'{"bindToken":"' + b"0" * 32 + b'","since":1,"voiceDays":3}'], parse_family),
        Target("rules", [b"quiet 20:30-06:30; daily 60"], _texts(parse_rules)),
        Target("rules of listening", [b"quiet 20:30-06:30; daily 60"], _texts(parse_listening)),
        Target("sleep timers", [b"at 08:30 or 20:30", b"after 2"], _texts(parse_timer)),
        Target("spoken timers", ["二十分钟后停".encode(), "八点半停".encode()], _texts(read_timer)),
        Target("limits of loudness", [b"max=9 min=1 start=last"], lambda data: parse_limits(as_text(data), Limits())),
        Target("nights", [b"20:00-07:00 max=5"], _texts(parse_night)),
        Target("self-descriptions", [json.dumps({"resources": [point], "report": []}).encode()], parse_self_description),
        Target("segments", [json.dumps({"voice": segment}).encode()], _member(parse_segment, "voice")),
        Target("segments of the history", [b"{id=1,+rate=8000,+segment=0,+eof=true,+channel=1}"], _texts(parse_history_text)),
        Target("voice data", [b"\x03\x00\x00\x00abc" * 2], unpack_frames),
        Target("times of an utterance", [dump_object({KEY_UTTERANCE_TIMES: {"id": 1, "end": "sent", "seconds": {"eof": 1.5}}})], _member(parse_times, KEY_UTTERANCE_TIMES)),
        Target("events of an update", [b'{"ota_event":{"percent":0.5,"transaction":"1","event":4}}'], _member(parse_event, "ota_event")),
        Target("states of an update", [b'{"ota_state":{"transaction":"1","state":1}}'], _member(parse_ota_state, "ota_state")),
        Target("lists of parts", [b'{"package_info":{"sbom":{"sha256":"' + b"0" * 64 + b'"}}}'], _member(parse_package_sboms, "package_info")),
        Target("ends of support", [b'{"package_info":{"support_end":"2030-01-01"}}'], _member(parse_package_support, "package_info")),
        Target("diagnoses", [b'{"state":"ready","size":3,"parts":1,"sha256":"' + b"0" * 64 + b'","data":"AAAA"}'], parse_piece),
        Target("erasures of speech", [dump_object({KEY_VOICE_ERASE: {"utterances": [{"id": 1, "at": 5}]}})], _member(parse_erase, KEY_VOICE_ERASE)),
        Target("properties of a publish", [_publish()], lambda data: has_too_many(data, 1), ()),
        Target("pairing codes", [b'{"deviceUuid":"0083000000000a","token":"' + b"0" * 32 + b'"}'], _texts(parse_pairing)),
        Target("words to a helper", [b'{"name":"kill","values":{"a":1},"token":"t"}'], parse_wanted),
        Target("words of a helper", [b'{"done":true,"text":"t"}'], parse_told),
    ]  # fmt: skip


def _records() -> list[Target]:
    task = Task(ORDER, State.CREATED, Step.BEGIN, None, None, None, reported=False)
    boot = {"active": "1.0.1", "previous": None, "last_rollback": None, "base": "1.0.0"}
    trial = {"version": "1.0.1", "attempts": 1, "transaction": "1"}
    known = {
        "format": 1,
        "known": {"cloud": {"seconds": 1.8e9, "ticks": 1.0, "boot": "b"}},
        "keys": ["a"],
    }
    return [
        Target("the task", [task.to_bytes()], parse_task),
        Target("the launcher's record", [json.dumps(boot | {"trial": trial}).encode()], _texts(parse_boot), (BootRecordError,)),
        Target("the record of images", [b'{"trial":null,"last_rollback":{"version":"1","reason":"r","transaction":null}}'], parse_rauc),
        Target("what was given up", [json.dumps({"format": 1, "packages": [_ENTRY], "doubt": _ENTRY}).encode()], parse_given_up),
        Target("the trusted time", [json.dumps(known).encode()], parse_time),
        Target("a kept story", [b'{"format":1,"size":9,"content_type":"","validator":"","used":1,"spans":[[0,4]]}'], parse_record),
        Target("pinned stories", [b'{"format":1,"urls":["http://127.0.0.1/a"]}'], parse_pins),
        Target("a kept list", [b'{"format":1,"entries":[["a","http://127.0.0.1/a"]]}'], parse_entries),
        Target("the ledger of speech", [_ledger()], parse_book),
        Target("sessions of the page", [b'{"sessions":[{"id":"a","token":"b","until":1.8e9}]}'], parse_sessions),
        Target("a damaged outbox", [_outbox(1), _outbox(6)], _salvage, ()),
        Target("keys of the home network", [b'{"sender-id_hex":"01","recipient-id_hex":"02","secret_hex":"' + b"0" * 32 + b'","salt_hex":""}'], parse_keys),
        Target("wake words", [_stored_word()], _word, (WakeWordError,)),
        Target("a profile", [_profile()], lambda data: parse_profile(data, "FILE"), (ProfileFault,)),
        Target("a battery's curve", [b"3.0:0 4.2:100"], lambda data: parse_curve(as_text(data), "curve")),
        Target("edges of a button", [struct.pack("<QIIII", 1, 1, 3, 1, 1) + bytes(24)], parse_edges),
        Target("orders to the player", [b'{"options":{"a":"b"},"environment":{}}'], parse_player_order, (OrderError,)),
    ]  # fmt: skip


def _packages() -> list[Target]:
    unpacking, package = Unpacking(), _package()
    info = ReleaseInfo("lamp", "1.0.1", ">=3.11", ("a==1",), ("agent",), 6).to_bytes()
    places = {"start": 0, "size": 4096}
    head = {
        "format": 1,
        "length": 5000,
        "blockSize": 4096,
        "image": places,
        "index": places | {"size": 32},
    }
    return [
        Target("packages", [gzip.compress(package)], unpacking.read, (ContentError,)),
        Target("packages' members", [package], unpacking.read_plain, (ContentError,)),
        Target("release.json", [info], parse_info),
        Target("maps of bundles", [json.dumps(head).encode() + b"\n" + bytes(40)], parse_map),
        *metadata_targets(),
    ]


def machine_targets() -> Sequence[Target]:
    """Return all of them; packages are unpacked into a folder that goes with the program."""
    sound = [
        Target("WAV files", [_wav()], read_wav, (AudioError,)),
        Target("Speex frames", [_frames()], _speex, (AudioError,)),
    ]
    return [*_orders(), *_playlists(), *sound, *_records(), *_packages()]
