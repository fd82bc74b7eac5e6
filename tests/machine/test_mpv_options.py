"""mpv's options, held against the installed mpv; the child's environment; the sources taken."""

from __future__ import annotations

import re
import subprocess

import pytest

from machine.mpv_options import (
    build_command,
    build_environment,
    build_options,
    is_single_source,
)
from wire.media import FORMATS


def test_the_installed_mpv_knows_every_option() -> None:
    listed = subprocess.run(
        ["mpv", "--no-config", "--list-options"], capture_output=True, text=True, check=True,
        timeout=60,
    ).stdout  # fmt: skip
    known = {name for name, kind in re.findall(r"^ --(\S+)\s+(.*)$", listed, re.MULTILINE)
             if "deprecated" not in kind}  # fmt: skip
    words = build_command(["mpv"], 7, build_options())[1:]
    names = {word.removeprefix("--").partition("=")[0] for word in words}
    # --list-options leaves out those that only the command line has.
    assert names - known <= {"config"}
    assert "--input-ipc-client=fd://7" in words


def test_the_child_sees_the_sound_server_and_no_secret() -> None:
    kept = {"PATH": "/usr/bin", "PULSE_SERVER": "unix:/run/pulse", "LC_ALL": "C.UTF-8"}
    secrets = {
        "STORY_TOKEN": "t", "NOTIFY_SOCKET": "/run/systemd/notify", "CREDENTIALS_DIRECTORY": "/run/c",
        "LD_PRELOAD": "/tmp/x.so", "WATCHDOG_PID": "1", "INVOCATION_ID": "1", "AWS_SECRET": "s",
        "PULSE_CLIENTCONFIG": "/tmp/x", "DBUS_SESSION_BUS_ADDRESS": "unix:/x",
        "http_proxy": "http://proxy:3128",
    }  # fmt: skip
    assert build_environment(kept | secrets) == kept


@pytest.mark.parametrize(
    ("source", "taken"),
    [
        ("/media/a.mp3", True), ("http://host/a", True), ("HTTPS://host/a", True),
        ("a.mp3", False), ("edl:///media/a.mp3", False), ("lavf://concat:a|b", False),
        ("memory://#EXTM3U", False), ("file:///media/a.mp3", False), ("-", False), ("", False),
        ("--script=/tmp/x.lua", False), ("httpx://host", False), ("av://lavfi:sine", False),
    ],
)  # fmt: skip
def test_only_a_path_or_a_web_address_is_a_source(source: str, *, taken: bool) -> None:
    assert is_single_source(source) is taken


def test_every_kind_of_title_may_be_opened() -> None:
    """A title that is found and cannot be opened would be passed over each time."""
    opened = build_options()["demuxer-lavf-o"].partition("[")[2].rstrip("]").split(",")
    assert set(FORMATS) < set(opened)
    assert not {"hls", "dash", "concat", "sdp", "rtsp", "imf"} & set(opened)
