"""How long a page of the list of devices takes with 100,000 devices in the store, for each filter and order.

python -m benchmarks.device_list [--devices N] [--database URL]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, text

from staging.identity.rights import Role, Viewer
from staging.store import Database, accounts, device_list, device_query, overview, products, tags
from staging.store.fleet_models import DeviceTag, Tag
from staging.store.models import Binding, Device, Package, Report
from staging.store.models import OtaTask as Task
from tools.postgresql import postgresql
from wire.story_points import STORY_POINTS

DEVICES = 100_000
ROUNDS = 7
ONLINE_EVERY, BOUND_EVERY, UPDATED_EVERY, TAGGED_EVERY = 20, 2, 10, 7
# A self-description as our machines send it.
POINTS = {"resources": [point.to_json() for point in STORY_POINTS] * 4}
ASKED: tuple[dict[str, list[str]], ...] = (
    {},
    *({"sort": [sort.value]} for sort in device_query.Sort),
    {"page": ["1000"]},
    {"presence": ["online"]},
    {"presence": ["offline"]},
    {"version": ["1.7.0"]},
    {"batch": ["b3"]},
    {"owner": ["own"]},
    {"owner": ["free"]},
    {"owner": ["family"]},
    {"update": ["running"]},
    {"update": ["failed"]},
    {"update": ["none"]},
    {"tag": ["bench"]},
    {"q": ["0000abc"]},
    {"q": ["bench 1.7.0"]},
    {"presence": ["online"], "batch": ["b3"], "sort": ["version"]},
)


def fill(session: Any, count: int) -> tuple[Viewer, list[int]]:
    """Make the devices; returns who looks, and the numbers of those that are connected."""
    operator = accounts.find_or_make(session, "operator", 0)
    family = accounts.find_or_make(session, "family", 0)
    product = products.default_product(session, 0)
    batches = [products.batch(session, product, f"b{n}").id for n in range(20)]
    versions = [products.os_version(session, product.id, f"1.{n}.0").id for n in range(20)]
    package = Package(
        product_id=product.id, os_version_id=versions[-1], path="p", size=1, md5="", sha256="",
        description="", create_time=1, update_time=1,
    )  # fmt: skip
    tag = Tag(name="bench", folded="bench")
    session.add_all([package, tag])
    session.flush()
    for start in range(0, count, 5000):
        rows = [
            {
                "uuid": f"{n * 7919 % 2**50:014x}", "product_id": product.id, "batch_id": batches[n % 20],
                "os_version_id": versions[n % 17], "token": "t" * 32, "bind_token": "b" * 32, "name": f"name {n}",
                "status": "ACTIVATED", "create_time": n, "update_time": n, "last_heartbeat_time": n * 31 % count,
                "description": POINTS, "battery": n % 101, "volume": n % 17,
            }
            for n in range(start, min(start + 5000, count))
        ]  # fmt: skip
        session.execute(insert(Device), rows)
    ids = list(session.scalars(select(Device.id).order_by(Device.id)))
    bound = [
        {"device_id": n, "account_id": operator.id if n % 100 == 0 else family.id, "create_time": 1}
        for n in ids[::BOUND_EVERY]
    ]
    session.execute(insert(Binding), bound)
    states = ("SUCCESS", "FAILED", "RUNNING")
    updated = [
        {
            "device_id": n, "package_id": package.id, "status": states[place % 3], "create_time": 1,
            "update_time": 1 + n, "installed": False, "accepted": True,
        }
        for place, n in enumerate(ids[::UPDATED_EVERY])
    ]  # fmt: skip
    session.execute(insert(Task), updated)
    tagged = [{"device_id": n, "tag_id": tag.id} for n in ids[::TAGGED_EVERY]]
    session.execute(insert(DeviceTag), tagged)
    values = [
        {"device_id": n, "ts": 5 + n, "key": "power", "kind": "REPORT", "value": 50} for n in ids
    ]
    for start in range(0, len(values), 5000):
        session.execute(insert(Report), values[start : start + 5000])
    return Viewer(operator.id, Role.OPERATOR), ids[::ONLINE_EVERY]


def measure(database: Database, viewer: Viewer, online: list[int]) -> None:
    """Print each question's first page with its rows in ms: also the best, which others at the machine spoil least."""

    def page(session: Any, wanted: device_query.Wanted) -> int:
        found = device_list.page(session, wanted, viewer, online)
        overview.by_ids(session, found.ids)
        return found.total

    for asked in ASKED:
        wanted = device_query.parse(asked)
        took, computed = [], []
        for _ in range(ROUNDS):
            began, cpu = time.perf_counter(), time.process_time()
            total = database.call(page, wanted)
            took.append((time.perf_counter() - began) * 1000)
            computed.append((time.process_time() - cpu) * 1000)
        told = "&".join(f"{name}={value[0]}" for name, value in asked.items()) or "the first page"
        print(
            f"{told:45} {total:7} devices  median {statistics.median(took):6.1f} ms, best {min(took):6.1f}, of this process {statistics.median(computed):6.1f}"
        )


def run(where: Path | str, count: int) -> None:
    """Fill a new store and measure."""
    database = Database(where)
    try:
        viewer, online = database.call(fill, count)
        if not isinstance(where, Path):
            with database._writer.connect().execution_options(isolation_level="AUTOCOMMIT") as c:  # noqa: SLF001
                c.execute(text("ANALYZE"))
        assert database.call(tags.listing)
        measure(database, viewer, online)
    finally:
        database.close()


def main() -> None:
    """Measure on SQLite, then on PostgreSQL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=DEVICES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("SQLite")
        run(Path(folder) / "cloud.sqlite", options.devices)
    with postgresql() as server:
        print("PostgreSQL")
        with server.connect() as connection:
            connection.execute("CREATE DATABASE device_list")
        run(server.url("device_list"), options.devices)


if __name__ == "__main__":
    main()
