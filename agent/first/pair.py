"""``story-agent pair``: the QR code by which a family's app binds the machine, on a terminal, as a picture, or as text.

The library segno draws it (the extra [qr]); without it the two values are printed, which can be typed as well.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from agent.exits import EX_OK
from agent.first.bind_token import shown_profile
from agent.first.page_place import page_line
from agent.first.profile_file import PROFILE_MAX, ProfileFault, parse
from agent.first.telling import Teller
from agent.words import Words
from agent.words.causes import explain_error
from base.files import read_record, write_atomically
from wire.pairing import QR_ERROR, QR_VERSION, pairing_text
from wire.profile import Profile

# Modules of light around a code; a reader may want four.
QUIET = 4
# Pixels of a module in a picture.
SCALE = 8
# Dark on light whatever the terminal's colours are.
_INK, _END = "\033[30;107m", "\033[0m"
_BLOCKS = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def run_pair(options: argparse.Namespace) -> int:
    """Carry out the command; return the exit code."""
    teller = Teller()
    try:
        return _show(options, teller, shown_profile(_profile(options.profile), options.state))
    except ProfileFault as error:
        return teller.fail(error.cause, error.remedy)
    except BrokenPipeError:
        raise  # nobody reads what is printed: `base.printing`
    except OSError as error:
        needs_root = isinstance(error, PermissionError)
        return teller.fail(explain_error(error), Words("用 sudo 运行", "run it with sudo") if needs_root else None)  # fmt: skip


def _profile(path: Path) -> Profile:
    """Return the machine's profile; raises ProfileFault, or OSError where it is there and cannot be read."""
    try:
        return parse(read_record(path, PROFILE_MAX), path)
    except FileNotFoundError as error:
        cause = Words(
            f"没有身份文件 {path}：这台机器还没有身份",
            f"there is no profile {path}: the machine has no identity yet",
        )
        remedy = Words("sudo story-agent provision 文件", "sudo story-agent provision FILE")
        raise ProfileFault(cause.en, cause, remedy) from error


def _show(options: argparse.Namespace, teller: Teller, profile: Profile) -> int:
    if options.json:
        print(pairing_text(profile.uuid, profile.bind_token))
        return EX_OK
    if importlib.util.find_spec("segno") is None:
        if options.png or options.svg:
            return teller.fail(_NO_LIBRARY, _INSTALL)
        teller.say(Words(f"{_NO_LIBRARY.zh}；{_INSTALL.zh}", f"{_NO_LIBRARY.en}; {_INSTALL.en}"))
    elif options.png or options.svg:
        return _write(options, teller, profile)
    else:
        print("\n".join(on_terminal(modules(profile), colours=sys.stdout.isatty())))
    teller.say(
        Words(f"设备 {profile.uuid}，绑定码 {profile.bind_token}", f"device {profile.uuid}, bind token {profile.bind_token}")
    )  # fmt: skip
    teller.say(
        Words("请在 App 里扫描；谁看到它就能绑定这台机器", "scan it in the app; whoever sees it can bind the machine")
    )  # fmt: skip
    if (line := page_line(options.config)) is not None:
        teller.say(line)
    return EX_OK


_NO_LIBRARY = Words(
    "没有安装 segno，画不了二维码", "segno is not installed, so there is no QR code"
)
_INSTALL = Words("pip install 'story-agent[qr]'", "pip install 'story-agent[qr]'")


def _write(options: argparse.Namespace, teller: Teller, profile: Profile) -> int:
    for path, kind in ((options.png, "png"), (options.svg, "svg")):
        if path is None:
            continue
        data = picture(profile, kind)
        if str(path) == "-":
            sys.stdout.buffer.write(data)
        else:
            write_atomically(Path(path), data, mode=0o600)
            teller.say(Words(f"已写入 {path}", f"{path} is written"))
    return EX_OK


def _code(profile: Profile) -> Any:
    import segno  # noqa: PLC0415  # an extra

    text = pairing_text(profile.uuid, profile.bind_token)
    return segno.make(text, error=QR_ERROR, version=QR_VERSION, micro=False, boost_error=False)


def modules(profile: Profile) -> list[list[int]]:
    """Return the code's modules with its quiet zone, rows from the top; 1 is dark."""
    return [[int(bool(m)) for m in row] for row in _code(profile).matrix_iter(border=QUIET)]


def picture(profile: Profile, kind: str) -> bytes:
    """Return the code as ``png`` or ``svg``; the page of the machine shows it too."""
    out = io.BytesIO()
    _code(profile).save(out, kind=kind, scale=SCALE, border=QUIET)
    return out.getvalue()


def on_terminal(rows: Sequence[Sequence[int]], *, colours: bool) -> list[str]:
    """Return lines of half blocks, two rows of modules in each; two characters a module where there are no blocks.

    ``colours``: whether the terminal takes ANSI's; without them a reader needs a light background.
    """
    if not _can_print("▀▄█"):
        return ["".join("##" if module else "  " for module in row) for row in rows]
    lines = []
    for upper, lower in zip_longest(rows[::2], rows[1::2], fillvalue=[0] * len(rows[0])):
        line = "".join(_BLOCKS[top, bottom] for top, bottom in zip(upper, lower, strict=True))
        lines.append(f"{_INK}{line}{_END}" if colours else line)
    return lines


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def to_json(profile: Profile) -> dict[str, object]:
    """Return what an app needs, for the machine's own page."""
    return dict(json.loads(pairing_text(profile.uuid, profile.bind_token)))
