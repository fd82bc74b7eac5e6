"""The settings file: each member, each limit, each kind of error; and the back-off."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from agent.settings import Settings, SettingsError, doubts_of, load_settings, parse_settings
from agent.words.causes import explain
from resources.announce.settings import Kind, Language, SoundsSettings
from wire.errors import WireError
from wire.voice import HeaderStyle

EVERYTHING = """
[link]
kind = "mqtt"
mqtt_port = 9883
client_certificate = "/etc/story-agent/device.pem"
client_key = "/etc/story-agent/device.key"
keepalive_seconds = 30
connect_timeout_seconds = 7.5
retry_max_seconds = 10
refused_retry_seconds = 60
[voice]
style = "spx"
quality = 5
max_seconds = 20
microphone = "USB mic"
capture = "parec"
vad = "webrtc"
band = "wide"
pause_seconds = 1
remote_listen = true
[buttons]
reset = "talk+next"
reset_seconds = 7
talk = 17
mute = 27
play_pause = 22
next = 23
previous = 24
volume_up = 5
volume_down = 6
pull = "down"
active_low = false
reader = "chip"
chip = "/dev/gpiochip4"
input = "all"
talk_code = 582
[light]
gpio = 13
active_low = true
chip = "/dev/gpiochip4"
[play]
media_folder = "/media/card"
allow_networks = ["192.168.1.0/24", "fd00::/8"]
resume = "song"
cache_bytes = 1000
[sounds]
folder = "/media/sounds"
language = "en"
kinds = "tones"
[battery]
kind = "ina219"
bus = 0
address = 0x42
cells = 2
curve = "3.0:0 4.2:100"
shunt_ohms = 0.01
charging = "negative"
warn_percent = 20
warn_again_percent = 10
off_percent = 5
[switch]
armed = true
idle_minutes = 30
[ota]
product = "故事机"
batch = "0000"
root_file = "trust/root.json"
repository = "https://updates.example/tuf"
installer = "rauc"
hardware = "raspberrypi,3-model-b"
channel = "beta"
support_end = "2033-06-30"
window = "02:00-05:00"
delta = false
max_bytes_per_second = 40960
confirm_timeout_seconds = 60
[health]
sound = "device"
chime_volume = 0
checks_folder = "checks"
check_timeout_seconds = 5
[outbox]
max_bytes = 65536
[local]
http_port = 8080
coap_port = 5683
https_port = 8443
oscore_port = 5684
oscore_address = "::"
https_address = "192.168.1.5"
announce = true
[clock]
zone = "Asia/Shanghai"
[wake]
on = true
while_playing = true
ready = "alexa"
"""


def member(settings: Settings, name: str) -> Any:
    table, _, key = name.partition(".")
    return getattr(getattr(settings, table), key)


def test_every_member_can_be_set() -> None:
    settings = parse_settings(EVERYTHING)
    defaults = Settings()
    for table in fields(Settings):
        for f in fields(getattr(defaults, table.name)):
            name = f"{table.name}.{f.name}"
            if name == "light.led":
                continue  # beside light.gpio only one counts
            assert member(settings, name) != member(defaults, name), name
            assert type(member(settings, name)) is type(member(defaults, name)), name
    assert parse_settings('[light]\nled = "listening"').light.led == "listening"
    assert settings.voice.style is HeaderStyle.SPX
    assert settings.play.media_folder == Path("/media/card")
    assert settings.sounds == SoundsSettings(Path("/media/sounds"), Language.ENGLISH, Kind.TONES)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[light]\nled = "listening"\ngpio = 13',
            ["light.gpio: got 13, expected -1, or no light.led beside it: only light.led counts"],
        ),
        (
            "[buttons]\ntalk_code = 115",
            ["buttons.talk_code: got 115, expected 0, or buttons.input beside it: no key is read"],
        ),
        (
            '[play]\nmedia_folder = "."',
            [
                (
                    'play.media_folder: got ".", expected a folder for stories alone, such as media: '
                    "this one has the agent's own files in it"
                )
            ],
        ),
        (
            '[play]\nmedia_folder = "stories/mine"',
            [
                (
                    'play.media_folder: got "stories/mine", expected a folder for stories alone, such as media: '
                    "the agent keeps files of its own in stories"
                )
            ],
        ),
        (
            '[clock]\nzone = "Asia/Shangai"',
            [
                'clock.zone: got "Asia/Shangai", expected a zone that this machine has, such as Asia/Shanghai: hours are judged in its own instead'
            ],
        ),
        ('[clock]\nzone = "Asia/Shanghai"', []),
        (
            "[local]\nhttp_port = 8443\nhttps_port = 8443",
            ["local.http_port: got 8443, expected another port than local.https_port"],
        ),
        ('[local]\nhttp_port = 8443\nhttps_port = 8443\nhttps_address = "192.168.1.9"', []),
        ("[local]\nhttp_port = 8080\nhttps_port = 8443", []),
        *(
            (
                f'[ota]\nrepository = "{url}"',
                [
                    f'ota.repository: got "{shown}", expected an http(s) URL without user and password'
                ],
            )
            for url, shown in (
                ("ftp://a/tuf", "ftp://a/tuf"),
                ("http://[::1", "http://[::1"),
                ("http://a b/", "http://a b/"),
                ("https://", "https://"),
                ("http://a:99999/", "http://a:99999/"),
                ("tuf", "tuf"),
                ("http://me:secret@a/", "http://[hidden]@a/"),
            )
        ),
        ('[ota]\nrepository = "https://updates.example:8443/tuf/?a=b"', []),
        ('[ota]\nrepository = "http://[fe80::1]/tuf"', []),
        ('[play]\nmedia_folder = "/media/card"', []),
        ('[buttons]\ninput = "all"\ntalk_code = 115\n[light]\ngpio = 0', []),
        ('[light]\nled = "listening"\ngpio = -1', []),
    ],
)
def test_what_does_nothing_is_told_and_refused_by_nothing(text: str, told: list[str]) -> None:
    assert [str(doubt) for doubt in doubts_of(parse_settings(text))] == told
    for each in told:
        assert "expected" not in explain(each).zh


def test_names_and_paths_are_any_text() -> None:
    settings = parse_settings(
        '[play]\nmedia_folder = "/media/a\u0308\u3000卡"\n[ota]\nbatch = "a\u0308\u3000\\U0001f467"'
    )
    assert settings.play.media_folder == Path("/media/a\u0308\u3000卡")  # a file's name: as it is
    assert settings.ota.batch == "ä\u3000\U0001f467"


def test_an_empty_file_and_no_file_give_the_defaults() -> None:
    assert parse_settings("") == Settings() == load_settings(None)


@pytest.mark.parametrize("value", ["true", '"5"', "nan", "-inf", "[]"])
@pytest.mark.parametrize(
    ("table", "key", "expected"),
    [
        ("link", "mqtt_port", "an integer from 0 to 65535"),
        ("voice", "pause_seconds", "a number from 0.3 to 3"),
    ],
)
def test_what_is_no_number_is_named_with_what_was_expected(
    table: str, key: str, expected: str, value: str
) -> None:
    with pytest.raises(WireError, match=rf"^{table}\.{key}: got .*, expected {expected}$"):
        parse_settings(f"[{table}]\n{key} = {value}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[voice]\nquality = 5.0", "voice.quality: got 5.0, expected an integer from 0 to 10"),
        ('[voice]\nstyle = "mp3"', 'voice.style: got "mp3", expected one of length32, spx'),
        ("[voice]\nstyle = 1", "voice.style: got 1, expected one of length32, spx"),
        ('[battery]\nkind = "bq"', 'battery.kind: got "bq", expected one of auto, sysfs, max17040'),
        *(
            (
                f"[battery]\naddress = {address}",
                f"battery.address: got {address}, expected 0, or a chip's address from 0x08 to 0x77: I2C",
            )
            for address in (1, 7)
        ),
        (
            "[battery]\naddress = 0x78",
            "battery.address: got 120, expected an integer from 0 to 119",
        ),
        (
            '[battery]\ncurve = "4:9"',
            'battery.curve: got "4:9", expected two or more volts:percent',
        ),
        (
            "[battery]\nwarn_percent = 3\noff_percent = 20",
            "battery.off_percent: got 20, expected less than the first warning's 8, or 0",
        ),
        (
            "[battery]\nwarn_percent = 0\nwarn_again_percent = 4",
            "battery.off_percent: got 4, expected less than the first warning's 4, or 0",
        ),
        (
            "[play]\ncache_bytes = -1",
            "play.cache_bytes: got -1, expected an integer from 0 to 1099511627776$",
        ),
        ("[switch]\narmed = 1", "switch.armed: got 1, expected true or false"),
        ('[switch]\narmed = "true"', 'switch.armed: got "true", expected true or false'),
        ("[play]\nmedia_folder = 3", "play.media_folder: got 3, expected a path"),
        ('[play]\nmedia_folder = ""', 'play.media_folder: got "", expected a path'),
        ('[play]\nmedia_folder = "a\\u0000"', "play.media_folder: got .*, expected a path"),
        (
            '[play]\nallow_networks = ["10.0.0.0/8", "lan"]',
            r'play.allow_networks\[1\]: got "lan", expected a network such as "192',
        ),
        ("[play]\nallow_networks = [7]", r"play.allow_networks\[0\]: got 7, expected a network"),
        (
            '[play]\nallow_networks = "10.0.0.0/8"',
            "play.allow_networks: got .*, expected a list of n",
        ),
        ('[ota]\nbatch = "a\\u202eb"', "ota.batch: got .*, expected a string of printable"),
        ('[link]\nclient_key = "k.pem"', 'link.client_key: got "k.pem", expected link.client_c'),
        (
            "[buttons]\ntalk = 17\nnext = 17",
            "buttons.next: got 17, expected another line than buttons.talk",
        ),
        (
            "[buttons]\ntalk = 17\n[light]\ngpio = 17",
            "buttons.talk: got 17, expected another line than light.gpio",
        ),
        (
            '[light]\nled = "../x"',
            'light.led: got "../x", expected the name of a folder in /sys/class/leds',
        ),
        ("[buttons]\ntalk = 512", "buttons.talk: got 512, expected an integer from -1 to 511"),
        ('[buttons]\npull = "left"', 'buttons.pull: got "left", expected one of up, down, none'),
        ('[ota]\nproduct = ""', 'ota.product: got "", expected a string that is not empty'),
        ('[ota]\nproduct = "a%2Fb"', 'ota.product: got "a%2Fb", expected letters of any script'),
        ('[ota]\nchannel = ""', 'ota.channel: got "", expected a string that is not empty'),
        (
            '[clock]\nzone = "CST 8"',
            'clock.zone: got "CST 8", expected a zone of the time zone database',
        ),
        ('[ota]\nwindow = "2-5"', 'ota.window: got "2-5", expected two local times such as '),
        ("[ota]\nwindow = 2", "ota.window: got 2, expected a string"),
        (
            '[ota]\nsupport_end = "2031"',
            'ota.support_end: got "2031", expected a day such as 2031-12-31',
        ),
        ('[health]\nsound = "loud"', 'health.sound: got "loud", expected one of auto, device, off'),
        ("[ota]\nbatch = 7", "ota.batch: got 7, expected a string"),
        ("[ota]\nbatch = 1979-05-27", "ota.batch: got .*1979.*, expected a string"),
        (
            "[link]\nkeepalive = 3",
            "link.keepalive: got 3, expected keepalive_seconds .one of kind, ",
        ),
        ("[mqtt]\nport = 1", "mqtt: got .*, expected one of the tables link, voice, buttons, "),
        ("link = 3", "link: got 3, expected one of the tables"),
        ("[[link]]\nkeepalive_seconds = 3", "link: got .*, expected one of the tables"),
        ("[link", "not TOML: "),
        ("a = " + "9" * 5000, "not TOML: "),
        ("a = " + "[" * 5000, "not TOML: "),
        ("[link]\nkeepalive_seconds = 3\nkeepalive_seconds = 4", "not TOML: "),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=f"^settings {path}: {expected}"):
        load_settings(path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    with pytest.raises(SettingsError, match=f"settings {path}: No such file or directory"):
        load_settings(path)
    with pytest.raises(SettingsError, match=f"settings {tmp_path}: no regular file"):
        load_settings(tmp_path)
    path.write_bytes(b'[ota]\nproduct = "\xb9\xca"')
    with pytest.raises(SettingsError, match=f"settings {path}: not UTF-8 text"):
        load_settings(path)


@pytest.mark.parametrize("address", ["nonsense", "", "192.168.1", "2001:db8::x"])
def test_an_address_that_is_none_is_refused_before_the_agent_starts(address: str) -> None:
    with pytest.raises(
        WireError, match=rf"^local\.https_address: got \"{address}\", expected an IP"
    ):
        parse_settings(f'[local]\nhttps_address = "{address}"\n')


def test_two_coap_servers_do_not_share_a_port() -> None:
    with pytest.raises(
        WireError, match=r"^local\.oscore_port: got 5683, expected another port than local\.coap"
    ):
        parse_settings("[local]\ncoap_port = 5683\noscore_port = 5683\n")
    parse_settings("[local]\ncoap_port = 0\noscore_port = 0\n")


@pytest.mark.parametrize("name", ["https_address", "oscore_address"])
@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("fe80::1%eth0", True), ("fe80::1%2", True), ("FE80::1%wlan0", True), ("febf::1%eth0", True),
        ("fe80::1", False), ("fe80::1%", False), ("10.0.0.1%eth0", False), ("10.0.0.1%", False), ("::%eth0", False),
        ("2001:db8::1%eth0", False), ("%eth0", False), ("fec0::1", True),
    ],
)  # fmt: skip
def test_an_address_of_one_link_has_its_interface_and_no_other_has_one(
    name: str, address: str, *, fits: bool
) -> None:
    text = f'[local]\n{name} = "{address}"\n'
    if fits:
        assert getattr(parse_settings(text).local, name) == address
        return
    with pytest.raises(WireError, match=rf"^local\.{name}: got .*fe80::1%eth0") as caught:
        parse_settings(text)
    assert "网卡" in explain(str(caught.value)).zh


@pytest.mark.parametrize("address", ["", "localhost", "10.0.0.256", "::g", "10.0.0.1:80"])
def test_an_address_of_oscore_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(WireError, match=r"^local\.oscore_address: got .*expected an IP address"):
        parse_settings(f'[local]\noscore_address = "{address}"\n')
