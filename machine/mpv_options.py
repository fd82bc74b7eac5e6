"""How mpv is started: options that keep it to one source at a time, and an environment without secrets.

What mpv's own programs expand (playlists, EDL, cue sheets, archives, folders), it could play behind
the agent's back: only libavformat may open a source, and only the formats of one recording.
Every option was checked against ``mpv --list-options`` of 0.35.1 (docs/adr/0016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import wire.media

# mpv gives a silent server up after this. That server is the agent's relay, which tries again itself
# (resources.online); how long loading may take is machine.playback's.
NETWORK_SECONDS = 40.0
# Bytes of read-ahead: a minute at 256 kbit/s; more would cost too much of a Pi's memory.
DEMUXER_MAX_BYTES = 2 * 1024 * 1024
# For going back: only what a seek of a few seconds needs.
DEMUXER_BACK_BYTES = 256 * 1024
# In percent, 28.6 dB; mpv's own limit leaves 6.8 dB for titles that are recorded too quietly.
VOLUME_MAX = 300

# mpv's output that keeps time without a sound device.
NO_DEVICE = "null"

# libavformat's names of the formats that hold one recording: those of the titles, and two that have
# no ending of their own. Those that name other files or
# addresses (hls, dash, concat, imf, sdp, rtsp, ...) are not among them.
FORMATS = (*wire.media.FORMATS, "loas", "mpc8")

# What the player's process needs: where the sound server is, and the language. No proxy of the web:
# its stories come from the agent on this machine.
_KEPT = frozenset({
    "ALSA_CONFIG_PATH", "HOME", "LANG", "PATH", "PIPEWIRE_REMOTE", "PIPEWIRE_RUNTIME_DIR",
    "PULSE_COOKIE", "PULSE_RUNTIME_PATH", "PULSE_SERVER", "PULSE_SINK", "TMPDIR", "TZ",
    "XDG_RUNTIME_DIR",
})  # fmt: skip


def build_options() -> dict[str, str]:
    """Return mpv's options by their names."""
    return {
        "access-references": "no",  # of MOV and Matroska to other files
        "ao": f"pulse,alsa,{NO_DEVICE}",
        "audio-client-name": "story-agent",
        "audio-file-auto": "no",
        # With integer samples mpv's gain has 256 steps: -38.6 dB instead of -40, silence below -54.
        "audio-format": "float",
        "autoload-files": "no",
        "config": "no",
        "cover-art-auto": "no",
        "demuxer": "lavf",
        "demuxer-lavf-o": f"format_whitelist=[{','.join(FORMATS)}]",
        "demuxer-max-back-bytes": str(DEMUXER_BACK_BYTES),
        "demuxer-max-bytes": str(DEMUXER_MAX_BYTES),
        "idle": "yes",
        "input-builtin-bindings": "no",
        "input-default-bindings": "no",
        "load-auto-profiles": "no",
        "load-osd-console": "no",
        "load-scripts": "no",
        "load-stats-overlay": "no",
        "load-unsafe-playlists": "no",
        "network-timeout": f"{NETWORK_SECONDS:g}",
        "ordered-chapters": "no",
        "osc": "no",
        "resume-playback": "no",
        "stream-lavf-o": "reconnect=0",  # FFmpeg's own tries take up to 11 s and tell nobody
        "sub-auto": "no",
        "terminal": "no",
        "video": "no",
        "volume-max": str(VOLUME_MAX),
        "ytdl": "no",
    }


def build_command(program: Sequence[str], descriptor: int, options: Mapping[str, str]) -> list[str]:
    """Return the command line of ``program``; it takes its orders on the socket ``descriptor``.

    mpv ends when the other side of that socket is closed, also by the agent's death.
    """
    words = [f"--{name}={value}" for name, value in options.items()]
    return [*program, *words, f"--input-ipc-client=fd://{descriptor}"]


def build_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what mpv may see of ``environment``: never the service manager's or a secret."""
    return {
        name: value
        for name, value in environment.items()
        if name in _KEPT or name.startswith("LC_")
    }


def is_single_source(source: str) -> bool:
    """Return whether ``source`` is an absolute path or an http(s) URL, the only two kinds taken.

    mpv knows some 60 other schemes (``edl://``, ``memory://``, ``lavf://``); the scheme may have
    any case (RFC 3986, section 3.1).
    """
    return source.startswith("/") or is_stream(source)


def is_stream(source: str) -> bool:
    """Return whether ``source`` is an http(s) URL."""
    return source[:8].lower().startswith(("http://", "https://"))
