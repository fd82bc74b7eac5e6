"""The cloud's HTTP side without other processes: console and open API behind a real socket of this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.applications import Starlette

from staging.api.app import create_app
from staging.api.http_server import ApiServer
from staging.bench.bench import Bench
from staging.console.app import PathSwitch, create_console
from staging.console.call import COOKIE, CSRF_HEADER, Console
from staging.console.gate import keep_sessions
from staging.data_dir import DataDir, Endpoints, write_endpoints
from staging.gateway.gateway import Gateway
from staging.identity.rights import Role
from staging.services import Services
from staging.store import Database, accounts
from staging.store.accounts import Login
from staging.store.models import Account
from staging.store.nonces import Nonces
from staging.times import now_ms


@dataclass
class Bare:
    """A cloud without devices, and clients of it."""

    database: Database
    services: Services
    app: Starlette
    url: str

    @property
    def console(self) -> Console:
        made: Console = self.app.state.console
        return made

    def account(self, name: str, role: Role) -> Account:
        """Make an account that could log in; its password is no hash of anything."""
        return self.database.call(accounts.add, name, "scrypt$", now_ms(), role)

    def enter(self, account: Account) -> tuple[dict[str, str], dict[str, str]]:
        """Begin a session of an account; returns cookies and headers."""
        login = Login(
            account.id,
            account.uuid,
            account.user_name,
            None,
            Role(account.role),
            account.generation,
        )
        cookie, session = self.console.sessions.begin(login)
        return {COOKIE: cookie}, {CSRF_HEADER: session.csrf}

    def headers(self, account: Account) -> dict[str, str]:
        """Begin a session; return the headers of a request in it."""
        cookies, headers = self.enter(account)
        return headers | {"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}

    def client(self, account: Account | None = None) -> httpx.AsyncClient:
        """Return a client of the console, logged in as ``account``."""
        cookies, headers = ({}, {}) if account is None else self.enter(account)
        return httpx.AsyncClient(
            base_url=f"{self.url}/console", cookies=cookies, headers=headers, timeout=60
        )


@contextlib.asynccontextmanager
async def bare_cloud(
    database: Database, folder: Path, bench: Bench | None = None
) -> AsyncIterator[Bare]:
    """Serve until the block ends."""
    data = DataDir(folder)
    gateway = Gateway(database, api_url=lambda: "")
    services = Services(database, gateway, Nonces(database, now_ms), now_ms, bench=bench)
    app = create_console(services, data)
    sock = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    write_endpoints(data, Endpoints(url, "127.0.0.1", 9001))
    server = ApiServer(PathSwitch(create_app(services, data.tuf), app))
    keeping = asyncio.create_task(keep_sessions(app.state.console))
    serving = asyncio.create_task(server.serve([sock]))
    await server.accepting.wait()
    try:
        yield Bare(database, services, app, url)
    finally:
        keeping.cancel()
        app.state.console.hub.close()
        await app.state.console.desk.close()
        server.should_exit = True
        await serving
