"""The HTTP application: the open API under ``/v1``, the update repository under ``/tuf``."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from staging.api import accounts, control, ota
from staging.api.envelope import Boundary, install_handlers
from staging.api.services import Services


def create_app(services: Services, repository: Path) -> Boundary:
    """Make the application; ``repository`` is the TUF repository's folder, which may come later."""
    # The pages that FastAPI would add fetch their scripts from outside.
    app = FastAPI(title="story-cloud open API", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.services = services
    install_handlers(app)
    for router in (control.router, accounts.router, ota.router):
        app.include_router(router, prefix="/v1")
    # Only these two folders: whatever else lies in the repository is not the devices' business.
    for folder in ("metadata", "targets"):
        files = StaticFiles(directory=repository / folder, check_dir=False)
        files.config_checked = True  # a folder that is not there yet holds no file: 404, not 500
        app.mount(f"/tuf/{folder}", files, name=folder)
    return Boundary(app)
