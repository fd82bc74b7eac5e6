"""The endings and the lists, tried with the real mpv: it plays each ending that counts as a title, and
each file that it would follow elsewhere is told from sound.

The sounds are made by mpv itself, which encodes with FFmpeg.
"""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from machine.errors import RefusedError
from resources.titles.listing import is_sound_name
from resources.titles.sound_file import check_sound
from tests.conftest import write_tone
from wire.media import FORMATS, SOUND_ENDINGS

DEADLINE = 60.0
AAC, PCM = "aac", "pcm_s16le"
# Ending: FFmpeg's container and encoder.
MADE = {
    "mp3": ("mp3", "libmp3lame"), "mp2": ("mp2", "mp2"), "mpa": ("mp2", "mp2"), "m4a": ("ipod", AAC),
    "m4b": ("ipod", AAC), "m4r": ("ipod", "alac"), "mp4": ("mp4", AAC), "m4v": ("mp4", AAC),
    "mov": ("mov", AAC), "3gp": ("3gp", AAC), "aac": ("adts", AAC), "ogg": ("ogg", "libvorbis"),
    "oga": ("oga", "flac"), "ogv": ("ogg", "libvorbis"), "ogx": ("ogg", "libvorbis"),
    "opus": ("opus", "libopus"), "spx": ("ogg", "libspeex"), "flac": ("flac", "flac"),
    "wav": ("wav", "pcm_s24le"), "w64": ("w64", PCM), "aif": ("aiff", "pcm_s16be"),
    "aiff": ("aiff", "pcm_s16be"), "aifc": ("aiff", "pcm_s16be"), "au": ("au", "pcm_s16be"),
    "snd": ("au", "pcm_s16be"), "caf": ("caf", PCM), "wma": ("asf", "wmav2"),
    "asf": ("asf", "wmav2"), "wmv": ("asf", "wmav2"), "mka": ("matroska", AAC), "mkv": ("matroska", AAC),
    "webm": ("webm", "libopus"), "weba": ("webm", "libopus"), "ac3": ("ac3", "ac3"),
    "eac3": ("eac3", "eac3"), "tta": ("tta", "tta"), "wv": ("wv", "wavpack"), "mpg": ("mpeg", "mp2"),
    "mpeg": ("mpeg", "mp2"), "ts": ("mpegts", AAC), "m2ts": ("mpegts", AAC),
}  # fmt: skip
# FFmpeg decodes these and cannot make them.
NOT_MADE = {"amr", "ape", "dsf", "mpc"}


pytestmark = pytest.mark.skipif(
    shutil.which("mpv") is None, reason="the program mpv is missing: only libmpv is installed"
)


def run(*options: str | Path) -> list[str]:
    """Run mpv without sound device and configuration; returns the lines that it printed."""
    done = subprocess.run(
        ["mpv", "--no-config", "--load-scripts=no", "--ytdl=no", "--no-video", "--ao=null", "--untimed",
         "--term-status-msg=", "--msg-level=all=error,term-msg=info,cplayer=info", *map(str, options)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    return done.stdout.splitlines()


def encode(source: Path, target: Path, container: str, encoder: str) -> Path:
    run(source, f"--o={target}", f"--of={container}", f"--oac={encoder}", "--oacopts=strict=-2")
    assert target.stat().st_size
    return target


def opened(path: Path, *options: str) -> str | None:
    """Return path and format of what mpv plays when told to play ``path``, None if it is nothing."""
    lines = run(path, *options, "--term-playing-msg=plays ${path} ${file-format}")
    return next((line.removeprefix("plays ") for line in lines if line.startswith("plays ")), None)


def test_every_ending_is_tried_or_said_not_to_be() -> None:
    assert MADE.keys() | NOT_MADE == SOUND_ENDINGS


@pytest.mark.parametrize("ending", MADE)
def test_a_file_of_each_ending_is_a_title_and_plays(tmp_path: Path, ending: str) -> None:
    tone = write_tone(tmp_path / "tone.wav", seconds=0.3, rate=16000)
    made = encode(tone, tmp_path / f"song.{ending}", *MADE[ending])
    assert is_sound_name(made.name.encode())
    check_sound(str(made))
    assert (opened(made) or "").startswith(f"{made} ")
    only = next(name for name, endings in FORMATS.items() if ending in endings.split())
    whitelist = ("--demuxer=lavf", f"--demuxer-lavf-o=format_whitelist={only}")
    assert (opened(made, *whitelist) or "").startswith(f"{made} ")


def lists(secret: Path) -> dict[str, bytes]:
    """Return contents that name another file."""
    path = str(secret)
    lines = {
        "m3u": f"#EXTM3U\n{path}\n",
        "m3u after a mark": f"\ufeff#EXTM3U\n{path}\n",
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:2,\n{path}\n#EXT-X-ENDLIST\n",
        "edl": f"# mpv EDL v0\n{path}\n",
        "pls": f"[playlist]\nFile1={path}\nNumberOfEntries=1\n",
        "pls after blanks": f"\n \n[Playlist]\nFile1={path}\n",
        "reference": f"[Reference]\nRef1={path}\n",
        "link": f"[InternetShortcut]\nURL=file://{path}\n",
        "concat": f"ffconcat version 1.0\nfile '{secret.name}'\n",
    }
    return {name: text.encode() for name, text in lines.items()} | {
        "utf-16": f"\ufeff#EXTM3U\n{path}\n".encode("utf-16-le"),
    }


@pytest.mark.parametrize("kind", lists(Path("x")))
def test_what_mpv_would_follow_elsewhere_is_refused(tmp_path: Path, kind: str) -> None:
    secret = write_tone(tmp_path / "secret.wav", seconds=0.3)
    song = tmp_path / "song.mp3"
    song.write_bytes(lists(secret)[kind])
    heard = opened(song)
    assert heard is not None  # mpv alone would open the other file
    assert heard.startswith(str(secret)) or not heard.endswith(" mp3")
    with pytest.raises(RefusedError, match="cannot be played: its content is"):
        check_sound(str(song))


def test_an_archive_is_refused_too(tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    with zipfile.ZipFile(song, "w") as packed:
        packed.write(write_tone(tmp_path / "tone.wav", seconds=0.3))
    assert opened(song) != f"{song} mp3"
    with pytest.raises(RefusedError, match="its content is a zip archive"):
        check_sound(str(song))
