"""One cloud for a test: a real store, real TLS on loopback, the API called in the same process.

A test that uses the store runs twice, on SQLite and on PostgreSQL: the store's functions, the API's
answers and the gateway's records must not depend on the database. The mark ``one_database`` is for
tests that do not depend on it (framing, TLS, deadlines, a file of SQLite's), where a second run would
only take time.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy
from sqlalchemy import Dialect, Engine, make_url

from staging.api.app import create_app
from staging.gateway import tls
from staging.gateway.gateway import Gateway, Limits
from staging.gateway.registrations import Registrations
from staging.gateway.silent import Pace
from staging.identity import ca
from staging.identity.signature import new_nonce, sign
from staging.listening import listen
from staging.log_ins import LogIns
from staging.services import Services
from staging.store import Database, apps, devices, engine, releases, rollout_acts
from staging.store.apps import AppType
from staging.store.models import App, Base, Device
from staging.store.nonces import Nonces
from staging.store.products import DATA_POINTS
from staging.store.releases import StrategyType, Target
from staging.throttle import Throttle
from tools.postgresql import PostgresServer, postgresql
from transport.connection import Connection
from transport.framed import FramedEndpoint
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.fields import dump_object
from wire.reports import (
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    registration_payload,
    report_payload,
    report_query,
)

DEADLINE = 60.0
START_MS = 1_495_000_000_000
# Long, for timeouts that must not expire in a test.
LIMITS = Limits(registration=30.0, control=5.0, idle=30.0)
MD5 = "0" * 32
API_URL = "http://127.0.0.1:8080"


_compiled: dict[str, tuple[Dialect, Any]] = {}


@pytest.fixture(autouse=True, scope="session")
def statements_compiled_once() -> Iterator[None]:
    """Let the engines of all tests' databases share SQLAlchemy's compiled statements: a third of a test's time."""
    make = sqlalchemy.create_engine

    def share(*places: Any, **options: Any) -> Engine:
        made = make(*places, **options)
        made.dialect, made._compiled_cache = _compiled.setdefault(
            made.dialect.name, (made.dialect, made._compiled_cache)
        )
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "create_engine", share)
        yield


@pytest.fixture(autouse=True, scope="session")
def patient_stores() -> Iterator[None]:
    """Let no statement, lock or connection be given up because this machine is busy; who tests that sets it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "BUSY_TIMEOUT_MS",
            "STATEMENT_TIMEOUT_MS",
            "CONNECT_TIMEOUT_S",
            "POOL_TIMEOUT_S",
        ):
            patch.setattr(engine, name, getattr(engine, name) * 12)
        yield


class FakeClock:
    """A wall clock in ms that the test sets."""

    def __init__(self) -> None:
        self.now = START_MS

    def __call__(self) -> int:
        return self.now


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> ca.Certificates:
    return ca.ensure(tmp_path_factory.mktemp("ca") / "ca", ("127.0.0.1",))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


SQLITE, POSTGRESQL = "sqlite", "postgresql"


# Forms of requests and answers, which no database sees; what they ask of the store is `tests/staging/store`'s.
_OF_FORM = (
    "test_audited", "test_auth", "test_authorize", "test_bodies", "test_cors", "test_failures", "test_openapi",
    "test_params", "test_envelope", "test_call", "test_gate", "test_control_history", "test_handshakes", "test_ear",
    "test_session", "test_gateway", "test_control",
)  # fmt: skip


def _is_of_form(metafunc: pytest.Metafunc) -> bool:
    return metafunc.module.__name__.rpartition(".")[2] in _OF_FORM


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        one = metafunc.definition.get_closest_marker("one_database") or _is_of_form(metafunc)
        kinds = [SQLITE] if one else [SQLITE, POSTGRESQL]
        if isinstance(one, pytest.Mark) and one.args:
            kinds = list(one.args)
        metafunc.parametrize("database_kind", kinds, scope="function")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run one server for all tests."""
    with postgresql() as server:
        yield server


class Databases:
    """Databases in the server: new ones, and one with all tables that the tests use in turn."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._numbers = itertools.count()
        self._shared: str | None = None

    def new(self) -> str:
        """Return the URL of a database without tables."""
        name = f"test_{next(self._numbers)}"
        with self.server.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY FILE_COPY")
        return self.server.url(name)

    def drop(self, url: str) -> None:
        with self.server.connect() as connection:
            connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def shared(self) -> str:
        """Return the URL of the shared database, without rows and with every sequence reset to 1.

        Deleting a few rows takes a tenth of the time of copying a template.
        """
        if self._shared is None:
            self._shared = self.new()
            Database(self._shared).close()
        tables = [table.name for table in reversed(Base.metadata.sorted_tables)]
        statements = "".join(f"DELETE FROM {name};" for name in tables)
        with psycopg.connect(self._shared) as connection:
            connection.execute(f"{statements}{_RESTART_NUMBERS}")
        return self._shared


_RESTART_NUMBERS = """
    SELECT setval(oid::regclass, 1, false) FROM pg_class
    WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
"""


@pytest.fixture(scope="session")
def databases(postgres: PostgresServer) -> Databases:
    return Databases(postgres)


@pytest.fixture(scope="session")
def blank_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with all tables: to copy it takes a twentieth of the migrations' time."""
    path = tmp_path_factory.mktemp("blank") / "cloud.sqlite"
    Database(path).close()
    return path


@pytest.fixture
def where(
    database_kind: str, tmp_path: Path, blank_store: Path, request: pytest.FixtureRequest
) -> Path | str:
    """Return the place of a store without rows."""
    if database_kind == SQLITE:
        return Path(shutil.copy(blank_store, tmp_path / "cloud.sqlite"))
    made: Databases = request.getfixturevalue("databases")
    return made.shared()


@pytest.fixture
def empty(
    database_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Path | str]:
    """Return the place of a database without tables."""
    if database_kind == SQLITE:
        yield tmp_path / "empty.sqlite"
        return
    made: Databases = request.getfixturevalue("databases")
    url = made.new()
    yield url
    made.drop(url)


@pytest.fixture
def database(where: Path | str) -> Iterator[Database]:
    opened = Database(where)
    yield opened
    opened.close()


@dataclass
class Cloud:
    """The parts of a running cloud, and helpers to use them."""

    database: Database
    gateway: Gateway
    nonces: Nonces
    clock: FakeClock
    http: httpx.AsyncClient
    device_port: int
    certificates: ca.Certificates
    app: App
    token: str
    device: Device
    cleanups: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def headers(self, **other: str) -> dict[str, str]:
        apikey = other.get("apikey", self.app.apikey)
        token = other.get("token", self.token)
        nonce = other.get("nonce") or new_nonce()
        signed = sign(nonce, apikey, other.get("secret", self.app.secret), token)
        return {"X-IOT-APP": apikey, "X-IOT-Signature": signed, "X-IOT-Token": token}

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.http.get(f"/v1{path}", params=params, headers=self.headers())

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.http.post(f"/v1{path}", json=body, headers=self.headers())

    async def put(self, path: str, **body: Any) -> httpx.Response:
        return await self.http.put(f"/v1{path}", json=body, headers=self.headers())

    def bind(self) -> None:
        account = self.database.call(apps.account, "tester", self.clock())
        self.database.call(
            devices.bind, self.device.uuid, self.device.bind_token or "", account.id, self.clock()
        )

    def release(self, version: str, kind: StrategyType = StrategyType.PASSIVE) -> tuple[int, int]:
        """Add and publish a package that is only a row; returns package and strategy id."""
        target = Target(f"{version}.tar", 521, MD5, "0" * 64)
        now = self.clock()
        package = self.database.call(releases.add_package, version, target, "", now)
        strategy = self.database.call(releases.add_strategy, version, kind, [], [], now)
        self.database.call(rollout_acts.start, strategy.id, 0)
        return package.id, strategy.id

    async def connect(self, device: Device | None = None, **options: Any) -> ScriptedDevice:
        scripted = ScriptedDevice(device or self.device, self.certificates, **options)
        await scripted.connect(self.device_port)
        self.cleanups.append(scripted.close)
        return scripted

    async def register(self, **options: Any) -> ScriptedDevice:
        """Connect and register, and wait until the gateway has greeted the device."""
        scripted = await self.connect(**options)
        assert (await scripted.register()).code == Code.CONTENT
        await scripted.expect("GET", "resource")
        await self.settle()
        return scripted

    async def settle(self) -> None:
        """Wait until the gateway's own background tasks are done."""
        for session in list(self.gateway.sessions.by_uuid.values()):
            if session.tasks:
                async with asyncio.timeout(DEADLINE):
                    await asyncio.gather(*session.tasks, return_exceptions=True)

    async def stop(self) -> None:
        for cleanup in self.cleanups:
            await cleanup()
        await self.gateway.stop()
        await self.http.aclose()


class ScriptedDevice:
    """A device made of transport and wire; answers from a table and records the requests."""

    def __init__(
        self,
        device: Device,
        certificates: ca.Certificates,
        *,
        answers: dict[tuple[str, str], Answer] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.credentials = Credentials(device.uuid, device.token)
        self.answers = {
            ("GET", "resource"): Answer(Code.CONTENT, dump_object(DATA_POINTS)),
            **(answers or {}),
        }
        self.asked: asyncio.Queue[Request] = asyncio.Queue()
        self.silent = asyncio.Event()
        self._context = context or ssl.create_default_context(cafile=str(certificates.ca))
        self._serving: asyncio.Task[str] | None = None

    async def connect(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=self._context)
        self.connection = Connection(reader, writer)
        self.endpoint = await FramedEndpoint.create()
        self._serving = asyncio.create_task(self.endpoint.serve(self.connection, self._answer))
        await asyncio.sleep(0)  # the endpoint has the connection once serve has begun

    async def _answer(self, request: Request) -> Answer:
        self.asked.put_nowait(request)
        key = (request.method, "/".join(request.path))
        if key in self.answers:
            return self.answers[key]
        if self.silent.is_set():
            await asyncio.Event().wait()
        return Answer(Code.NOT_FOUND, b"no such resource")

    async def expect(self, method: str, path: str) -> Request:
        """Return the next request, and check that it is the given one."""
        async with asyncio.timeout(DEADLINE):
            request = await self.asked.get()
        assert (request.method, "/".join(request.path)) == (method, path)
        return request

    async def request(self, method: str, path: tuple[str, ...], payload: bytes = b"") -> Answer:
        return await self.endpoint.request(
            self.connection, method, path, payload, deadline=DEADLINE
        )

    async def register(self, token: str | None = None, uuid: str | None = None) -> Answer:
        told = Credentials(uuid or self.credentials.uuid, token or self.credentials.token)
        return await self.request("POST", REGISTER_PATH, registration_payload(told))

    async def report(
        self,
        data: dict[str, Any],
        *,
        confirmable: bool = True,
        credentials: Credentials | None = None,
    ) -> Answer:
        return await self.endpoint.request(
            self.connection,
            "POST",
            REPORT_PATH,
            report_payload(data),
            query=report_query(credentials or self.credentials),
            deadline=DEADLINE,
            confirmable=confirmable,
        )

    async def ended(self) -> str:
        """Wait until the connection has ended; returns the reason on this side."""
        assert self._serving is not None
        async with asyncio.timeout(DEADLINE):
            return await self._serving

    async def close(self) -> None:
        await self.endpoint.shutdown()
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)


@pytest.fixture
def limits() -> Limits:
    return LIMITS


@pytest.fixture
def pace() -> Pace:
    """A pace so slow that no silent update starts; tests of silent updates have their own."""
    return Pace(scan=3600.0, look=3600.0, again=3600.0)


@pytest.fixture
def legacy_tls() -> bool:
    return False


@pytest.fixture
async def cloud(
    tmp_path: Path,
    database: Database,
    clock: FakeClock,
    certificates: ca.Certificates,
    limits: Limits,
    pace: Pace,
    legacy_tls: bool,  # noqa: FBT001  # a fixture
) -> AsyncIterator[Cloud]:
    registrations = Registrations(lambda: clock() / 1000)
    gateway = Gateway(
        database, api_url=lambda: API_URL, limits=limits, clock=clock, pace=pace,
        registrations=registrations,
    )  # fmt: skip
    context = tls.server_context(certificates, legacy=legacy_tls)
    port = await gateway.start(context, listen("127.0.0.1", 0, "--device-port"))
    nonces = Nonces(database, clock, lambda: clock() / 1000)
    log_ins = LogIns(Throttle(lambda: clock() / 1000))
    services = Services(database, gateway, nonces, clock, log_ins=log_ins)
    app = create_app(services, tmp_path / "tuf")
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cloud")
    owner = database.call(apps.add_app, "tester's app", AppType.WEB, None, clock())
    token, _ = database.call(apps.issue_token, owner.id, "tester", clock())
    device = database.call(devices.add, "0083000000000a", clock())
    made = Cloud(database, gateway, nonces, clock, http, port, certificates, owner, token, device)
    yield made
    await made.stop()
