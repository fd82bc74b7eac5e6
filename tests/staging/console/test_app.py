"""What the console's modules are called and may import, and which requests reach the console."""

from __future__ import annotations

import ast
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from staging.console import app
from staging.console.app import HEADERS, PathSwitch
from tools.syntax import parse

FOLDER = Path(app.__file__).parent
# Modules of the page that call no route of their own.
WITHOUT_ROUTES = {
    "address",
    "api",
    "badges",
    "chart",
    "columns",
    "device_filters",
    "dom",
    "entry",
    "events",
    "format",
    "grammar",
    "i18n",
    "inputs",
    "main",
    "refusals",
    "rollout",
    "shell",
    "signing",
    "throttle",
}
# These send their requests through `controls`; the wire log through `wires`.
WITHOUT_ROUTES |= {"control", "advisor", "copyable", "family", "player", "tags", "wire"}
# A page reads and changes the cloud through the store's functions and other rooms' use cases.
NOT_ON_A_PAGE = {"sqlalchemy.select", "os", "pathlib", "shutil", "tempfile", "subprocess", "open"}
NOT_ON_A_PAGE |= {"staging.releases.tool", "staging.identity.ca", "staging.data_dir.read_endpoints"}


def test_a_page_has_one_name_in_python_and_javascript() -> None:
    scripts = {file.stem for file in (FOLDER / "static" / "js").glob("*.js")}
    modules = {file.stem for file in FOLDER.glob("*.py")}
    assert scripts >= WITHOUT_ROUTES
    assert scripts - WITHOUT_ROUTES - modules == set()


def names_in(path: Path) -> set[str]:
    """Return the modules and names that a file imports, and the functions it calls by name."""
    found: set[str] = set()
    for node in ast.walk(parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_no_page_has_sql_disk_or_signing(path: Path) -> None:
    assert names_in(path) & NOT_ON_A_PAGE == set()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1", "api /v1"),
        ("/v1/console/x", "api /v1/console/x"),
        ("/consoles", "api /consoles"),
        ("/console/", "console /console/"),
        ("/console/devices", "console /console/devices"),
    ],
)
async def test_the_path_decides_which_application_answers(path: str, answer: str) -> None:
    def application(name: str) -> object:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            shown = PlainTextResponse(f"{name} {scope['path']}")
            await shown(scope, receive, send)

        return serve

    switch = PathSwitch(application("api"), application("console"))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(switch)
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
        found = await client.get(path)
        moved = await client.get("/console")
        root, posted = await client.get("/"), await client.post("/")
    assert found.text == answer
    assert (moved.status_code, moved.headers["location"]) == (308, "/console/")
    assert (root.status_code, root.headers["location"]) == (307, "/console/")
    assert posted.text == "api /"
    protected = found.headers.get("content-security-policy") == HEADERS["Content-Security-Policy"]
    assert protected == answer.startswith("console")
