"""The simulated cloud: the real gateway, store and control, on its own disk, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from staging.broker.gate import BrokerGate
from staging.broker.members import Members
from staging.broker.worker import Worker
from staging.data_dir import DataDir
from staging.errors import StagingError
from staging.gateway.gateway import Gateway, Limits
from staging.identity import ca
from staging.opening import open_store
from staging.releases.stock import Stock
from staging.store import Database, devices, ota, releases
from staging.store.key_file import FILE_NAME
from staging.store.models import (
    KIND_REPORT,
    UNVERIFIED,
    Device,
    OtaEventLine,
    OtaTask,
    Package,
    Report,
    ReportEpoch,
)
from staging.store.order_rules import Status
from staging.store.releases import Target
from staging.store.retention import REPORT_DAYS
from staging.store.voice_keys import VoiceKeys
from staging.times import now_ms
from tools.sim import paces
from tools.sim.aging import Ages, set_ages, watch_fleet
from tools.sim.broker_process import DEVICES_PORT, BrokerProcess
from tools.sim.calls import Mount, bury, lay_out
from tools.sim.clock import START
from tools.sim.cloud_files import NOTICED_SECONDS, REFUSED_SECONDS, STORE, CloudFiles
from tools.sim.disk import Left, after_cut
from tools.sim.life import CURRENT, Life
from tools.sim.logs import LogCount
from tools.sim.machine import Platform
from tools.sim.open_api import OpenApi, make_app
from tools.sim.pruning import PruneWatch, QuotaWatch, Terms, set_terms, watched
from tools.sim.repository import Repository
from tools.sim.second_worker import SecondWorker
from tools.sim.sockets import SimSocket
from tools.sim.voice_days import VoiceWatch, eraser_of
from wire.profile import Profile

# Of all seeds of a process: a statement is compiled once, and not once for each start of a cloud.
COMPILED: Any = LRUCache(2000)
HOST, ADDRESS, PORT = "cloud.test", "10.0.0.1", 5684
RESTART_SECONDS = 3.0
# Seconds from its start to that of its second worker, if it has none yet.
SECOND_SECONDS = 2.0


class Template:
    """What each simulation begins with, made once a process: the store's file, and a CA."""

    def __init__(self, repository: Repository) -> None:
        """Make them, by the product's own code."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            certificates = ca.ensure(folder / "ca", (HOST,))
            self.ca_pem = certificates.ca.read_text("ascii")
            database = Database(folder / STORE)
            database.call(self._fill, repository)
            database.close()
            self.files = _lay(repository, (folder / STORE).read_bytes())

    def _fill(self, session: Any, repository: Repository) -> None:
        now = int(START * 1000)
        self.devices = [devices.add(session, f"0083000000000{n}", now, version=0) for n in range(4)]
        self.key = make_app(session, self.devices)
        self.packages: dict[str, int] = {}
        for offered in repository.offered.values():
            path = offered.path.removeprefix("targets/")
            target = Target(path, offered.size, offered.md5, offered.sha256)
            package = releases.add_package(
                session, offered.version, target, "", now, status=UNVERIFIED
            )
            self.packages[offered.version] = package.id
        self.uuids = [(each.uuid, each.token, each.bind_token or "") for each in self.devices]

    def profile(self, number: int, *, by_mqtt: bool = False) -> Profile:
        """Return the profile of a device; ``by_mqtt``: of a cloud behind a broker."""
        uuid, token, bind_token = self.uuids[number]
        told = {"link": "mqtt", "mqttPort": DEVICES_PORT} if by_mqtt else {}
        return Profile(
            uuid=uuid, token=token, bind_token=bind_token, server_addr=HOST, coap_port=PORT,
            lwm2m_port=0, rsa_ca_crt=self.ca_pem, configures=told, mac_id="", version=0,
        )  # fmt: skip


def _lay(repository: Repository, store: bytes) -> Left:
    """Return the files of a new cloud: its store, its repository, and the time that it believes."""
    files = {
        f"/{STORE}": store,
        "/clock.json": json.dumps({"time": int(START * 1000)}).encode(),
        **{f"/tuf/{path}": data for path, data in repository.files.items()},
    }
    above = {parent.as_posix() for path in files for parent in PurePosixPath(path).parents}
    folders = sorted(above - {"/"})
    modes = dict.fromkeys(files, 0o600) | dict.fromkeys(folders, 0o755)
    return Left(files, folders, {}, modes)


class Cloud:
    """One cloud."""

    def __init__(
        self, on: Platform, template: Template, folder: Path, broker: BrokerProcess | None = None
    ) -> None:
        """Use the empty ``folder`` as its disk; with a ``broker`` devices come by that too."""
        self.on, self.template, self.broker = on, template, broker
        self.rng = random.Random(on.rng.random())  # noqa: S311  # a simulation
        self.mount = Mount(str(folder))
        self.on_restored: Callable[[], None] = lambda: None
        on.calls.mounts.append(self.mount)
        self.folder = folder
        self.terms: Terms | None = None
        self.ages: Ages | None = None
        self.mount = lay_out(on.calls, self.mount, template.files)
        self.life: Life | None = None
        self.database: Database | None = None
        self.gateway: Gateway | None = None
        self.api: OpenApi | None = None
        self.worker: Worker | None = None
        self.ended: list[str] = []
        self.log = LogCount(on.loop.time)
        self.buried: list[Any] = []
        self._away: asyncio.TimerHandle | None = None
        self._upkeep: list[asyncio.Task[None]] = []
        self.pace = paces.GATEWAY
        self.files = CloudFiles(on.note)
        self.files.clock = on.loop.time
        self.members = Members("server")
        """What the present process knows of others."""
        self.second: SecondWorker | None = None
        """Its other process, where it has one."""
        self._turn = 0
        self.stays_full = False
        """Whether its disk is full still when its power comes back."""
        self.looks = False
        """Whether it opens its store as the server does, with all its looks and marks."""
        self.prune_watch: PruneWatch | None = None
        self.quotas: QuotaWatch | None = None
        self.voice: VoiceWatch | None = None
        """Watches the child's voice, where that has its days."""
        self.on_start: Any = lambda: None
        if broker is not None and broker.kind.is_beside:
            broker.is_wanted = lambda: self.life is not None

    def start(self) -> None:
        """Start the process."""
        if self.life is not None:
            return
        self.life = Life("cloud")
        self.life.handlers.append(self.log)
        self.mount.on_cut = functools.partial(self.lose_power, "power cut at a call")
        self.context = contextvars.Context()
        self.context.run(CURRENT.set, self.life)
        self._task = self.on.loop.create_task(self._live(self.life), context=self.context)

    async def _live(self, life: Life) -> None:
        try:
            self.database = self._open()
            share_compiled(self.database)
            self.files.look(self.database)
            self.members = members = Members("server")
            self.gateway = Gateway(
                self.database, api_url=lambda: "http://repository.test", pace=self.pace,
                owns=members.owns, limits=Limits() if self.terms is None else self.terms.limits,
            )  # fmt: skip
            listener: Any = SimSocket()
            listener.name = (ADDRESS, PORT)
            self.on.net.listeners[ADDRESS, PORT] = listener
            tls: Any = object()
            await self.gateway.start(tls, listener)
            eraser = eraser_of(self.voice, self.database, self.gateway, self.folder)
            api = OpenApi(
                self.database, self.gateway, self.folder, lambda: self.mount.full, eraser=eraser
            )
            await api.restore()
            self._upkeep = [asyncio.create_task(work) for work in api.upkeep()]
            api.begin = self.run
            self.api = api
            self.on.note("cloud: starts")
            self.on_start()
            self._keep_up()
            if self.second is not None:
                self._later(SECOND_SECONDS, self.second.start)
            if self.broker is None:
                await asyncio.Event().wait()
            else:
                if self.broker.kind.is_beside:
                    self.broker.start()
                gate = BrokerGate(self.database, self.gateway, members)
                self.worker = Worker(gate, members.who, self.broker.address)
                await self.worker.run()
        except Exception as error:  # noqa: BLE001  # judged by the invariants
            if not life.dead and self.files.path and isinstance(error, StagingError):
                self.files.refuse(str(error).replace(str(self.folder), ""))
                self._gone(life, power=False)
                self._later(REFUSED_SECONDS, self.put_back)
            elif not life.dead and isinstance(error, StagingError) and self._has_no_index():
                self.files.refuse_for_room(str(error))
                self._gone(life, power=False)
                self._later(REFUSED_SECONDS, self.start)  # by its unit
            elif not life.dead:
                self.ended.append(f"{type(error).__name__}: {error}")
                self._gone(life, power=False)
                self._later(RESTART_SECONDS, self.start)

    def _has_no_index(self) -> bool:
        """Return whether SQLite cannot read its log, as it needs an index of that which a full disk has no room for."""
        log = Path(f"{self.folder / STORE}-wal")
        return self.mount.full and log.exists() and log.stat().st_size > 0

    def _open(self) -> Database:
        """Open the store; where a bit of it may be another one, as the server does, which takes its time at each commit."""
        self.files.stock = Stock(self.folder / "tuf" / "targets")
        path = self.folder / STORE
        if self.looks:
            return open_store(DataDir(self.folder), path, looks=True)
        database = Database(path)
        database.voice_keys = VoiceKeys(self.folder / FILE_NAME)
        return database

    def put_back(self) -> None:
        """Put a damaged file back, as an operator does."""
        if not self.files.path or self._away is not None:
            return
        if self.files.is_store or self.life is None:
            self._put_back_at_rest()
        else:
            self.files.write_back(self.folder)

    def _put_back_at_rest(self) -> None:
        """Put files back while the cloud is stopped, and start it."""
        if self.life is not None:
            self.mount.dead = True
            self._gone(self.life, power=False)
            if self.broker is not None and self.broker.kind.is_beside:
                self.broker.stop(for_good=True)
        left = after_cut(self.mount.disk, lambda _path, node: list(node.pending))
        if self.files.is_store:
            self.files.restore(left)
            self.on_restored()
        else:
            self.files.put_in(left)
        self.mount = lay_out(self.on.calls, self.mount, left)
        self._later(RESTART_SECONDS, self.start)

    def keep_short(
        self, terms: Terms | None, count: Callable[[str], None], ages: Ages | None = None
    ) -> None:
        """Prune by ``terms`` and ``ages`` from the next start on."""
        self.terms, self._count, self.ages = terms, count, ages
        set_terms(terms)
        set_ages(ages)
        if terms is not None:
            self.prune_watch, self.quotas = PruneWatch(terms, ages), QuotaWatch(self.on.loop.time)
            self.prune_watch.voice_goes = self.voice is not None

    @property
    def prune_faults(self) -> list[str]:
        """What is gone that was to be kept, is kept that was to go, or was taken beyond a share."""
        own = None if self.prune_watch is None else self.prune_watch.ages
        watches = (self.prune_watch, self.quotas, own)
        return [text for watch in watches if watch is not None for text in watch.broken]

    def _keep_up(self) -> None:
        """Begin the upkeep of a start."""
        if self.quotas is not None:
            self.quotas.start()
        if self.terms is None and not self.looks:
            return
        days = REPORT_DAYS if self.terms is None else self.terms.days
        parts = {"data": DataDir(self.folder), "database": self.database, "report_days": days}
        upkeep = watched(self.prune_watch, self._count, parts)
        self._upkeep.append(asyncio.create_task(upkeep.run()))
        if self.ages is not None:
            fleet = watch_fleet(self.database, self.gateway)
            self._upkeep.append(asyncio.create_task(fleet))

    def _later(self, seconds: float, work: Any) -> asyncio.TimerHandle:
        return self.on.loop.call_later(seconds, work, context=contextvars.Context())

    def kill(self) -> None:
        """Kill its process, and start it again."""
        if self.life is not None:
            self.on.note("cloud: kill -9")
            self._gone(self.life, power=False)
            if self.broker is not None and self.broker.kind.is_beside:
                self.broker.stop(for_good=True)  # its kernel ends what it has started
            self._later(RESTART_SECONDS, self.start)

    def lose_power(self, why: str = "power cut") -> None:
        """Take its power away for a while."""
        if self.life is not None:
            self.on.note(f"cloud: {why}")
            self.mount.dead = True
            if self.second is not None:
                self.second.lose_power()
            self._gone(self.life, power=True)
            if self.broker is not None and self.broker.kind.is_beside:
                self.broker.lose_power()
            self._away = self._later(self.rng.uniform(5.0, 90.0), self._come_back)

    def come_back(self) -> None:
        """Give it its power back now, if that is away."""
        if self._away is not None:
            self._away.cancel()
            self._come_back()

    def _gone(self, life: Life, *, power: bool) -> None:
        life.dead = True
        self.on.net.killed(life, power=power)
        listener = self.on.net.listeners.pop((ADDRESS, PORT), None)
        if listener is not None:
            listener.close()
        alone = None if self.second is None else life
        self.on.sqlite.forget(self.mount, alone)
        self.on.loop.call_soon(
            bury, self.on.calls, self.mount, alone, context=contextvars.Context()
        )
        self.buried += [
            self.database,
            self.gateway,
            self.api,
            self._upkeep,
            self._task,
            life,
            self.worker,
        ]
        self.life = self.database = self.gateway = self.api = self.worker = self.files.stock = None

    def _come_back(self) -> None:
        self._away = None
        left = after_cut(self.mount.disk, lambda _path, node: self._survives(node))
        self.files.spoil(left)
        if self.files.path:
            self._later(self.rng.uniform(REFUSED_SECONDS, NOTICED_SECONDS), self.put_back)
        self.mount = lay_out(self.on.calls, self.mount, left)
        self.mount.full = self.stays_full
        self.start()

    def _survives(self, node: Any) -> Any:
        pending = list(node.pending)
        return pending[: self.rng.randrange(len(pending) + 1)]

    def work_by_two(self) -> None:
        """Have a second worker at its broker, from the next start on."""
        self.second = SecondWorker(self, share_compiled)

    @property
    def ends(self) -> list[str]:
        """Why its processes ended by themselves."""
        return [*self.ended, *([] if self.second is None else self.second.ended)]

    @property
    def lives(self) -> list[Life | None]:
        """Its processes; None: one does not run."""
        return [self.life, None if self.second is None else self.second.life]

    @property
    def lines(self) -> list[int]:
        """The lines of its processes' logs in the worst hour of each."""
        return [self.log.most, 0 if self.second is None else self.second.log.most]

    def some_api(self) -> OpenApi | None:
        """Return the open API of one of its processes, by turns; None: none runs."""
        apis = [self.api, None if self.second is None else self.second.api]
        found = [api for api in apis if api is not None]
        self._turn += 1
        return found[self._turn % len(found)] if found else None

    # What apps and testers ask of it; each runs as the cloud's own code.

    def run(self, work: Any) -> asyncio.Task[Any] | None:
        """Begin work of the cloud's process; None while there is none."""
        if self.life is None or self.gateway is None:
            work.close()
            return None
        return self.on.loop.create_task(work, context=self.context.copy())

    async def order(self, uuid: str, version: str) -> None:
        """Order a version for a device, as the console does."""
        if self.database is None or self.gateway is None:
            return
        package = self.template.packages[version]
        with contextlib.suppress(Exception):  # it is refused: an update runs, or it is not newer
            await self.database.write(ota.order_verification, uuid, package, now_ms())
            self.gateway.send_pending_order(uuid)

    async def list_md5(self, known: Mapping[str, str]) -> None:
        """Let the packages have these MD5s, by their versions, in the orders for them."""

        def note(session: Any) -> None:
            for version, md5 in known.items():
                session.execute(
                    update(Package)
                    .where(Package.id == self.template.packages[version])
                    .values(md5=md5)
                )

        if self.database is not None:
            with contextlib.suppress(Exception):  # its disk is full, or it is killed
                await self.database.write(note)

    # What its store holds, for the invariants.

    def look(self, uuid: str) -> dict[str, Any]:
        """Return what the store has of a device; {} while there is no store."""
        if self.database is None:
            return {}
        found: dict[str, Any] = self.context.copy().run(self.database.call, _look, uuid)
        return found


def share_compiled(database: Any) -> None:
    """Let a store use the statements that others of this process have compiled."""
    for engine in (database._reader, database._writer):  # noqa: SLF001  # a cache changes no answer
        engine._compiled_cache = COMPILED  # noqa: SLF001


def _dialects_are_one() -> None:
    """Let a compiled statement be found for each store's own object of the one dialect."""
    dialect: Any = SQLiteDialect_pysqlite
    dialect.__hash__ = lambda _self: hash(SQLiteDialect_pysqlite)
    dialect.__eq__ = lambda self, other: type(self) is type(other)


_dialects_are_one()


def _look(session: Any, uuid: str) -> dict[str, Any]:
    device = session.scalar(select(Device).where(Device.uuid == uuid))
    epochs = session.scalars(select(ReportEpoch).where(ReportEpoch.device_id == device.id))
    tasks = session.scalars(
        select(OtaTask).where(OtaTask.device_id == device.id).order_by(OtaTask.id)
    )
    told: dict[int, list[tuple[int | None, str]]] = {}
    for line in session.scalars(select(OtaEventLine).order_by(OtaEventLine.id)):
        told.setdefault(line.task_id, []).append((line.event, line.text))
    newest: dict[str, Any] = {}
    count: Counter[str] = Counter()
    rows = select(Report).where(Report.device_id == device.id).order_by(Report.ts)
    for row in session.scalars(rows):
        if (
            row.kind == KIND_REPORT
        ):  # what an order set is the machine's own words only in its report
            newest[row.key] = row.value
            count[row.key] += 1
    return {
        "epochs": {each.epoch: each.ranges for each in epochs},
        "tasks": [
            {"id": t.id, "status": t.status, "failure": t.failure, "package": t.package_id,
             "cancel": t.cancel, "lines": told.get(t.id, [])}
            for t in tasks
        ],
        "newest": newest,
        "rows": count,
    }  # fmt: skip


FINAL = {Status.SUCCESS.value, Status.FAILED.value}
