"""The copyright file of a package: the licence of each part, as its wheel has it (DEP-5)."""

from __future__ import annotations

import email
import re
from pathlib import Path

from release.licences import licence_name
from tools.deb.inside import inside
from tools.deb.tree import files_in

HEAD = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: {name}
Comment: This package bundles the Python packages below /{opt}, as the package index has them.

Files: *
Copyright: 2026 The story-agent authors
License: Apache-2.0
 On Debian systems, the text of the Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0.
"""
# Files that say whose the work is and what one may do with it.
_TEXTS = re.compile(r"(?i)^(licen[cs]e|copying|notice|authors)[^/]*$")
_HOLDER = re.compile(r"(?im)^\W*((?:©|copyright)\b[^\n]*\d{4}[^\n]*)$")


def copyright_text(name: str, root: Path) -> str:
    """Return the file's text for the package ``name``, whose files are below ``root``."""
    opt = f"opt/{name}"
    parts = [HEAD.format(name=name, opt=opt)]
    found = sorted(root.glob(f"{opt}/lib/**/*.dist-info/METADATA"))
    parts += [_stanza(it, root) for it in found if not it.parent.name.startswith("story_")]
    # After their wheels': of several stanzas that name a file, the last one counts.
    parts += [_inside(it, root) for it in sorted({path.parent.parent for path in found})]
    return "\n".join(dict.fromkeys(parts))


def _stanza(metadata: Path, root: Path) -> str:
    about = email.message_from_string(metadata.read_text("utf-8"))
    texts = [
        path.read_text("utf-8", "replace")
        for path in files_in(metadata.parent)
        if _TEXTS.match(path.name) or "licenses" in path.parts
    ]
    joined = "\n".join(map(_named, texts))
    # The metadata's line is the short name alone: a licence's text may stand in the old field.
    title = re.sub(r"[^A-Za-z0-9.+]+", "-", licence_name(about, joined)).strip("-")
    holders = list(dict.fromkeys(it.strip() for it in _HOLDER.findall(joined)))[:20]
    owner = about["Author"] or about["Author-Email"] or "its authors"
    place = metadata.parent.relative_to(root)
    stem = place.name.partition("-")[0]
    return "\n".join(
        [
            f"Files: {place.parent}/{stem}*",
            "Copyright: " + "\n ".join(holders or [owner.partition("<")[0].strip().strip('"')]),
            f"License: {title}-of-{about['Name']}",
            *(_indented(joined) if joined.strip() else [f" {title}; its wheel has no text of it."]),
            "",
        ]
    )


def _inside(folder: Path, root: Path) -> str:
    """Return the stanzas of an import folder's libraries and models that have a licence of their own."""
    place = folder.relative_to(root)
    return "\n".join(
        f"Files: {place}/{name}\nCopyright: {it.owner}\nLicense: {it.licence}\n {it.text}\n"
        for name, it in inside(folder)
    )


def _named(text: str) -> str:
    """Return a licence's text; policy 12.5 wants Apache's named, not repeated."""
    if (
        "APACHE LICENSE" in text.upper()
        and "TERMS AND CONDITIONS FOR USE, REPRODUCTION" in text.upper()
    ):
        return "The text of the Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0."
    return text


def _indented(text: str) -> list[str]:
    return [f" {line.rstrip()}" if line.strip() else " ." for line in text.splitlines()]
