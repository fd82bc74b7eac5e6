"""The program ``mpv`` made of libmpv: for machines that have the library and not the program.

Run as a script of its own, with mpv's options as ``--name=value``. It imports nothing of ours: the
process holds the interpreter and libmpv alone. It ends when mpv is told to quit, which mpv also does
when the other side of its IPC socket is closed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

# mpv/client.h: enum mpv_event_id.
EVENT_SHUTDOWN = 1
WAIT_FOREVER = -1.0


class Event(ctypes.Structure):
    """The first members of ``struct mpv_event``."""

    _fields_ = (("event_id", ctypes.c_int), ("error", ctypes.c_int))


def load() -> ctypes.CDLL:
    """Load libmpv and declare what is used of it; raises OSError."""
    library = ctypes.CDLL(ctypes.util.find_library("mpv") or "libmpv.so.2")
    library.mpv_create.restype = ctypes.c_void_p
    library.mpv_set_option_string.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    library.mpv_initialize.argtypes = [ctypes.c_void_p]
    library.mpv_wait_event.argtypes = [ctypes.c_void_p, ctypes.c_double]
    library.mpv_wait_event.restype = ctypes.POINTER(Event)
    library.mpv_terminate_destroy.argtypes = [ctypes.c_void_p]
    library.mpv_error_string.restype = ctypes.c_char_p
    return library


def main(words: list[str]) -> int:
    """Run mpv with the options ``words``; return 0, or 1 if it cannot be started."""
    library = load()
    player = library.mpv_create()
    if not player:
        return 1
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        if code := library.mpv_set_option_string(player, name.encode(), value.encode()):
            sys.stderr.write(f"mpv: {word}: {library.mpv_error_string(code).decode()}\n")
            return 1
    if library.mpv_initialize(player):
        return 1
    while library.mpv_wait_event(player, WAIT_FOREVER).contents.event_id != EVENT_SHUTDOWN:
        pass
    library.mpv_terminate_destroy(player)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
