"""``story-agent diag [FILE|-]``: gathers, cleans, packs, and writes the archive whole and for its owner alone."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from pathlib import Path

from agent.diag.archive import bounded, pack
from agent.diag.gathering import README, gather, make_cleaner
from agent.doctor.patient import look_at
from agent.exits import EX_FAILED, EX_OK
from agent.words import Words, say
from agent.words.causes import explain_error
from base.files import write_atomically

STDOUT = Path("-")
# Only its owner reads it: there are addresses of the home in it.
MODE = 0o600


def run_diag(options: argparse.Namespace) -> int:
    """Make the archive; return 1 if it could not be written."""
    now = time.time()
    name = time.strftime("story-agent-diag-%Y%m%d-%H%M%S", time.localtime(now))
    file = options.file or Path(f"{name}.tar.gz")
    if file == STDOUT and sys.stdout.isatty():
        return _fail(Words(
            "终端显示不了压缩包：用 story-agent diag - > 文件", "a terminal cannot show it: story-agent diag - > FILE",
        ))  # fmt: skip
    archive = make_archive(options, name, now)
    try:
        _write(file, archive)
    except BrokenPipeError:
        raise
    except OSError as error:
        told = explain_error(error)
        return _fail(Words(
            f"{told.zh}；卡满时用 story-agent diag - 写到别处（例如 ssh 的另一端）",
            f"{told.en}; if the card is full, story-agent diag - writes elsewhere (the other end of ssh)",
        ))  # fmt: skip
    if file != STDOUT:
        print(say(Words(f"写了 {file}（{len(archive)} 字节），其中没有密钥和孩子听的内容",
                        f"wrote {file} ({len(archive)} bytes), without secrets and what a child hears")))  # fmt: skip
    return EX_OK


def make_archive(options: argparse.Namespace, name: str, now: float) -> bytes:
    """Return the archive; every text in it is cleaned."""
    logging.getLogger().addHandler(logging.NullHandler())  # what parts log is in the findings
    patient = look_at(options.state, options.profile, options.config, os.environ)
    cleaner = make_cleaner(patient)
    texts = {"README.txt": README, **asyncio.run(gather(patient, options.log))}
    files = {part: cleaner.clean(text).encode("utf-8", "replace") for part, text in texts.items()}
    return pack(name, bounded(files), now)


def _write(file: Path, archive: bytes) -> None:
    if file == STDOUT:
        sys.stdout.buffer.write(archive)
        return
    # Under sudo in a home folder: the archive is for who asked, who is to send it.
    numbers = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    is_sudo = os.geteuid() == 0 and all(number.isdigit() for number in numbers)
    owner = (int(numbers[0]), int(numbers[1])) if is_sudo else None
    write_atomically(file, archive, mode=MODE, owner=owner)


def _fail(words: Words) -> int:
    print(f"story-agent: {say(words)}", file=sys.stderr)
    return EX_FAILED
