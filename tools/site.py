"""The documents as a site of pages: ``make docs`` (docs/adr/0049).

    python -m tools.site TARGET [--mkdocs PROGRAM]

The documents stay where they are read in the tree; they are copied beside each other, with what they link to, and
MkDocs makes pages of them. A warning, a page outside of the navigation and a link that leads nowhere end it with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[1]
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Start · 开始": ("README.md", "README.zh-CN.md", "docs/bench.md", "docs/bench.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md"),
    "A machine's life": ("docs/first-day.md", "docs/packages.md", "docs/image.md", "docs/care.md", "docs/doctor.md", "docs/device-page.md", "docs/family.md"),
    "What it does": (
        "docs/data-points.md", "docs/adding-a-data-point.md", "docs/playing.md", "docs/titles.md", "docs/sounds.md",
        "docs/listening.md", "docs/wake.md", "docs/recognition.md",
    ),
    "Link and cloud": (
        "docs/link.md", "docs/mqtt.md", "docs/staging.md", "docs/console.md", "docs/accounts.md", "docs/rollouts.md",
        "docs/fault-bench.md", "docs/wire-log.md", "docs/advisor.md", "docs/scale.md",
    ),
    "Updates": ("docs/ota.md", "docs/launcher.md", "docs/release-ceremony.md", "docs/sbom.md"),
    "How it is made": (
        "docs/architecture.md", "docs/numbers.md", "docs/simulation.md", "docs/mutation.md", "docs/benchmarks.md",
        "docs/vm-proof.md",
    ),
}  # fmt: skip
"""The navigation; decisions follow, and what nobody has sorted in yet (tests/tools/test_site.py)."""
DECISIONS, OTHERS = "Decisions", "More"
ADR = "docs/adr"
SETTINGS: Mapping[str, object] = {
    "site_name": "story-agent",
    "docs_dir": "source",
    "site_dir": "pages",
    "use_directory_urls": False,  # so that the pages can be read from a folder, without a server
    "strict": True,
    "theme": {
        "name": "material",
        "font": False,  # none of another site
        "language": "en",
        "features": ["navigation.sections", "navigation.top", "content.code.copy", "toc.follow"],
        "palette": [
            {"media": "(prefers-color-scheme: light)", "scheme": "default"},
            {"media": "(prefers-color-scheme: dark)", "scheme": "slate"},
        ],
    },
    "plugins": [{"search": {"lang": ["en", "zh"]}}],
    # Headings have the anchors that GitHub gives them, Chinese ones too.
    "markdown_extensions": [
        "tables",
        "pymdownx.superfences",
        {"pymdownx.highlight": {"use_pygments": True}},
        {"toc": {"permalink": True}},
    ],
    "validation": {
        "nav": {"omitted_files": "warn", "not_found": "warn", "absolute_links": "warn"},
        "links": {"not_found": "warn", "anchors": "warn", "absolute_links": "warn", "unrecognized_links": "warn"},
    },
    "extra": {"generator": False},
}  # fmt: skip
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def documents(root: Path = ROOT) -> list[str]:
    """Return all documents, by their paths in the tree."""
    found = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    return sorted(str(path.relative_to(root)) for path in found)


def navigation(found: list[str], root: Path = ROOT) -> list[dict[str, list[str]]]:
    """Return the sections with their pages; every document is in one."""
    named = {page for pages in SECTIONS.values() for page in pages}
    decisions = [page for page in found if page.startswith(f"{ADR}/")]
    others = [page for page in found if page not in named and page not in decisions]
    sections = {
        **{title: [page for page in pages if (root / page).exists()] for title, pages in SECTIONS.items()},
        OTHERS: others,
        DECISIONS: [f"{ADR}/README.md", *decisions],
    }  # fmt: skip
    return [{title: pages} for title, pages in sections.items() if pages]


def gather(target: Path, root: Path = ROOT) -> list[str]:
    """Copy all documents and what they link to below ``target``; return the documents."""
    shutil.rmtree(target, ignore_errors=True)
    found = documents(root)
    for page in found:
        text = (root / page).read_text("utf-8")
        put(target / page, with_pages_for_folders(text))
        for file in linked_files(text, root / page, root):
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / file, target / file)
    put(target / ADR / "README.md", list_decisions(found, root))
    return found


def put(path: Path, text: str) -> None:
    """Write a page, with the folder that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def with_pages_for_folders(text: str) -> str:
    """Let links to the folder of decisions, which a forge shows, lead to its page."""
    return re.sub(r"\]\(((?:\.\./)*docs/adr|adr)/?\)", r"](\1/README.md)", text)


def linked_files(text: str, document: Path, root: Path) -> Iterator[str]:
    """Yield what a document links to that is no document: pictures, recipes, the licence."""
    for target in links(text):
        path = (document.parent / unquote(target.partition("#")[0])).resolve()
        if path.is_file() and path.suffix != ".md" and path.is_relative_to(root.resolve()):
            yield str(path.relative_to(root.resolve()))


def links(text: str) -> list[str]:
    """Return the targets of a document's links within the tree, those in code left out."""
    found = [match[2] for match in _LINK.finditer(_FENCE.sub("", text))]
    return [target for target in found if not re.match(r"\w+:", target)]


def list_decisions(found: list[str], root: Path) -> str:
    """Return the page that lists the decisions by their titles."""
    decisions = [page for page in found if page.startswith(f"{ADR}/")]
    titles = [(page, _TITLE.search((root / page).read_text("utf-8"))) for page in decisions]
    lines = [f"- [{title[1] if title else page}]({Path(page).name})" for page, title in titles]
    return "\n".join(["# Decisions", "", *lines, ""])


def settings(found: list[str], root: Path = ROOT) -> str:
    """Return MkDocs' settings: YAML takes JSON, but for the name of a function."""
    text = json.dumps({**SETTINGS, "nav": navigation(found, root)}, ensure_ascii=False, indent=1)
    slug = '"permalink": true,\n    "slugify": !!python/object/apply:pymdownx.slugs.slugify {kwds: {case: lower}}'
    return text.replace('"permalink": true', slug)


def build(target: Path, mkdocs: str) -> int:
    """Build the site; return MkDocs' exit code."""
    target.mkdir(parents=True, exist_ok=True)
    found = gather(target / "source")
    file = target / "mkdocs.yml"
    file.write_text(settings(found), "utf-8")
    # Not --quiet: what it hides, --strict does not count.
    done = subprocess.run(
        [mkdocs, "build", "--clean", "--strict", "--config-file", str(file)],
        check=False, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
    print("\n".join(told), end="\n" if told else "", file=sys.stderr)
    return done.returncode or (1 if told else 0)


def main() -> int:
    """Build what is asked; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--mkdocs", default="mkdocs")
    options = parser.parse_args()
    code = build(options.target, options.mkdocs)
    if code == 0:
        print(f"docs: {options.target / 'pages' / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
