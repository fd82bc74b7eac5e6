"""Updates from offer to outcome: the endpoints, the order, and the status derived from events.

Tests staging.store.ota and staging.store.ota_log too.
"""

from __future__ import annotations

from typing import Any

import pytest

from staging.store import devices, order_rules, product_setup, products, releases, rollout_acts
from staging.store.models import Batch, Device, Strategy
from staging.store.order_rules import Status, TaskState, on_event, on_state, on_version
from staging.store.releases import StrategyType
from wire.codes import Code
from wire.exchange import Answer
from wire.ota import OtaEvent, OtaEventReport, OtaState, parse_order

UUID = "0083000000000a"
TAKES = {("PUT", "newfirmware"): Answer(Code.CHANGED)}


def failed(response: Any, status: int, code: str) -> str:
    body = response.json()
    assert (response.status_code, body["code"], body["data"]) == (status, code, None)
    return str(body["message"])


async def offer(cloud: Any) -> Any:
    return (await cloud.get("/device/ota/new_version", deviceUuid=UUID)).json()["data"]


async def order(cloud: Any, package: object, strategy: object = None) -> Any:
    body = {"packageId": package, "deviceUuid": UUID, "strategyId": strategy}
    return await cloud.post("/device/ota/update", **body)


async def status(cloud: Any) -> Any:
    return (await cloud.get("/device/ota/update/status", deviceUuid=UUID)).json()["data"]


async def event(device: Any, number: int, **more: Any) -> None:
    reply = await device.report({"ota_event": {"transaction": "1", "event": number, **more}})
    assert reply.code == Code.CHANGED


async def runs(device: Any, version: str) -> None:
    await device.report({"package_info": {"os": {"version": version}}})


@pytest.fixture
async def ordered(cloud: Any) -> Any:
    """A device that has just accepted the order of version 1.1."""
    cloud.bind()
    package, _ = cloud.release("1.1")
    device = await cloud.register(answers=TAKES)
    assert (await order(cloud, package)).status_code == 201
    await device.expect("PUT", "newfirmware")
    await cloud.settle()
    return device


# Offers


async def test_nothing_is_offered_at_first(cloud: Any) -> None:
    cloud.bind()
    response = await cloud.get("/device/ota/new_version", deviceUuid=UUID)
    assert response.json() == {"data": None, "code": "0", "message": "", "total": 1}


async def test_highest_version_is_offered(cloud: Any) -> None:
    cloud.bind()
    for version in ("1.9", "1.10", "1.2"):
        cloud.release(version, StrategyType.SILENT)
    found = await offer(cloud)
    assert (found["newOsVersion"], found["originalOsVersion"]) == ("1.10", "0.0.0.0")
    assert (found["type"], found["otaTaskId"]) == ("PASSIVE", 0)


@pytest.mark.parametrize(
    ("from_versions", "batches", "publish", "running", "offered"),
    [
        ([], [], True, "1.0", True),
        ([], [], False, "1.0", False),
        (["1.0.0"], [], True, "1.0", True),
        (["0.9"], [], True, "1.0", False),
        ([], ["0000"], True, "1.0", True),
        ([], ["0001"], True, "1.0", False),
        ([], [], True, "2.0", False),
        ([], [], True, "2.0.0.0", False),
        ([], [], True, "3.0", False),
    ],
)
async def test_who_is_offered_2_0(
    cloud: Any,
    from_versions: list[str],
    batches: list[str],
    publish: bool,  # noqa: FBT001  # a column of the table
    running: str,
    offered: bool,  # noqa: FBT001
) -> None:
    cloud.bind()
    await runs(await cloud.register(), running)
    target = releases.Target("2.0.tar", 521, "0" * 32, "0" * 64)
    cloud.database.call(releases.add_package, "2.0", target, "", 0)
    product = cloud.database.call(products.default_product, 0)
    cloud.database.call(product_setup.add_batch, product.id, "0001", 1, 0)
    strategy = cloud.database.call(
        releases.add_strategy, "2.0", StrategyType.PASSIVE, from_versions, batches, 0
    )
    if publish:
        cloud.database.call(rollout_acts.start, strategy.id, 0)
    assert (await offer(cloud) is not None) is offered


async def test_running_task_shows_in_the_offer(cloud: Any, ordered: Any) -> None:
    found = await offer(cloud)
    assert found["otaTaskId"] == (await status(cloud))["taskId"] > 0
    await event(ordered, 10)
    await runs(ordered, "1.1")
    assert await offer(cloud) is None


# Orders and their errors


async def test_order_on_the_wire(cloud: Any) -> None:
    cloud.bind()
    package, strategy = cloud.release("1.1")
    device = await cloud.register(answers=TAKES)
    assert (await order(cloud, str(package), str(strategy))).status_code == 201
    found = parse_order((await device.expect("PUT", "newfirmware")).payload)
    assert (found.transaction, found.version, found.old_version) == ("1", "1.1", "0.0.0.0")
    assert found.url == "http://127.0.0.1:8080/tuf/targets/1.1.tar"
    assert (found.size, found.signature) == (521, "0" * 32)
    await cloud.settle()
    found_status = await status(cloud)
    assert found_status["status"] == "CREATED"
    assert found_status["eventLog"] == "2017-05-17 05:46:40 [Success] OK\n"


async def test_unknown_package(cloud: Any) -> None:
    cloud.bind()
    assert "7" in failed(await order(cloud, 7), 404, "1506")


@pytest.mark.parametrize("package", ["x", None, -1, 2**63, 1.5, [1]])
async def test_package_id_of_another_form(cloud: Any, package: object) -> None:
    cloud.bind()
    assert "packageId: got" in failed(await order(cloud, package), 400, "2001")


async def test_strategy_id_of_another_form(cloud: Any) -> None:
    cloud.bind()
    assert "strategyId: got" in failed(await order(cloud, 1, "x"), 400, "2001")


async def test_strategy_that_is_unknown_or_for_another_package(cloud: Any) -> None:
    cloud.bind()
    package, _ = cloud.release("1.1")
    _, other = cloud.release("1.2")
    failed(await order(cloud, package, 99), 400, "1902")
    failed(await order(cloud, package, other), 400, "1902")


async def test_package_that_no_strategy_offers(cloud: Any) -> None:
    cloud.bind()
    target = releases.Target("2.0.tar", 521, "0" * 32, "0" * 64)
    package = cloud.database.call(releases.add_package, "2.0", target, "", 0)
    failed(await order(cloud, package.id), 400, "1902")


async def test_strategy_that_is_not_for_this_device(cloud: Any) -> None:
    cloud.bind()
    package, strategy = cloud.release("1.1")

    def move(session: Any) -> None:
        device = session.get(Device, cloud.device.id)
        product = products.default_product(session, 0)
        device.batch_id = products.batch(session, product, "0009").id
        session.get(Strategy, strategy).batches = ["0000"]
        assert session.query(Batch).count() == 2

    cloud.database.call(move)
    failed(await order(cloud, package, strategy), 403, "1905")


async def test_second_order_while_one_runs(cloud: Any, ordered: Any) -> None:
    del ordered
    package, _ = cloud.release("1.2")
    assert "task 1" in failed(await order(cloud, package), 409, "2004")


@pytest.mark.parametrize("running", ["1.1", "1.1.0.0", "2.0"])
async def test_package_that_is_not_newer(cloud: Any, running: str) -> None:
    cloud.bind()
    package, _ = cloud.release("1.1")
    await runs(await cloud.register(), running)
    assert running in failed(await order(cloud, package), 409, "2007")


async def test_status_of_a_device_that_was_never_ordered_anything(cloud: Any) -> None:
    cloud.bind()
    response = await cloud.get("/device/ota/update/status", deviceUuid=UUID)
    failed(response, 404, "2005")


async def test_refusal_by_the_device(cloud: Any) -> None:
    cloud.bind()
    package, _ = cloud.release("1.1")
    answers = {("PUT", "newfirmware"): Answer(Code.BAD_REQUEST, b"ota.url: got ...")}
    device = await cloud.register(answers=answers)
    await order(cloud, package)
    await device.expect("PUT", "newfirmware")
    await cloud.settle()
    found = await status(cloud)
    assert found["status"] == "FAILED"
    assert found["failure"] == "the device refused the order: 4.00 ota.url: got ..."
    assert found["eventLog"].endswith("[Failed] 4.00 ota.url: got ...\n")
    assert (await order(cloud, package)).status_code == 201


async def test_offline_device_gets_the_order_when_it_registers(cloud: Any) -> None:
    cloud.bind()
    package, _ = cloud.release("1.1")
    assert (await order(cloud, package)).status_code == 201
    assert (await status(cloud))["status"] == "CREATED"
    device = await cloud.connect(answers=TAKES)
    await device.register()
    await device.expect("GET", "resource")
    assert parse_order((await device.expect("PUT", "newfirmware")).payload).version == "1.1"
    await cloud.settle()
    assert (await status(cloud))["eventLog"].endswith("[Success] OK\n")
    # The device accepted it, so a later connection does not get it again.
    again = await cloud.register(answers=TAKES)
    assert again.asked.empty()


# Status


async def test_created_running_installed_success(cloud: Any, ordered: Any) -> None:
    assert (await status(cloud))["status"] == "CREATED"
    await event(ordered, 0)
    found = await status(cloud)
    assert (found["status"], found["percent"]) == ("RUNNING", 0)
    await event(ordered, 4, percent=0.5)
    assert (await status(cloud))["percent"] == 0.5
    await event(ordered, 5)
    assert (await status(cloud))["percent"] == 0.5
    # The installation counts from 0 again; the bar stays until the number has caught up.
    await event(ordered, 7, percent=0.25)
    assert (await status(cloud))["percent"] == 0.5
    await event(ordered, 7, percent=0.75)
    assert (await status(cloud))["percent"] == 0.75
    await ordered.report({"ota_state": {"transaction": "1", "state": 4}})
    found = await status(cloud)
    assert found["status"] == "INSTALLED"
    assert "percent" not in found
    await runs(ordered, "1.1")
    assert (await status(cloud))["status"] == "INSTALLED"
    await event(ordered, 10)
    found = await status(cloud)
    assert found["status"] == "SUCCESS"
    assert "failure" not in found


async def test_installed_before_the_version_is_known(cloud: Any, ordered: Any) -> None:
    await event(ordered, 10)
    assert (await status(cloud))["status"] == "INSTALLED"
    await runs(ordered, "0.9")
    assert (await status(cloud))["status"] == "INSTALLED"
    await runs(ordered, "1.1.0")
    assert (await status(cloud))["status"] == "SUCCESS"


async def test_the_documents_own_log_ends_in_success(cloud: Any, ordered: Any) -> None:
    """0, 4, 6, 2, 10: early firmware numbers failures differently; the running version decides."""
    for number in (0, 4, 6, 2):
        await event(ordered, number, **({"percent": 0} if number == 4 else {}))
    assert (await status(cloud))["status"] == "FAILED"
    await runs(ordered, "1.1")
    await event(ordered, 10)
    assert (await status(cloud))["status"] == "SUCCESS"


async def test_failure_carries_the_devices_words(cloud: Any, ordered: Any) -> None:
    await event(ordered, 31, description="checksum: got aa, expected bb")
    found = await status(cloud)
    assert (found["status"], found["failure"]) == ("FAILED", "checksum: got aa, expected bb")
    assert '"event":31,"description":"checksum' in found["eventLog"]


async def test_new_order_after_a_failure(cloud: Any, ordered: Any) -> None:
    await event(ordered, 6)
    assert (await status(cloud))["failure"] == "event 6: download fail"
    package = (await status(cloud))["packageId"]
    assert (await order(cloud, package)).status_code == 201
    request = await ordered.expect("PUT", "newfirmware")
    assert parse_order(request.payload).transaction == "2"
    await cloud.settle()
    # The older task's events do not affect the new one.
    await event(ordered, 10)
    assert (await status(cloud))["status"] == "CREATED"


async def test_event_of_an_unknown_task_is_taken_and_logged(
    cloud: Any, caplog: pytest.LogCaptureFixture
) -> None:
    device = await cloud.register()
    await event(device, 0)
    assert "ota_event of unknown task '1'" in caplog.text


async def test_event_log_stays_short(
    cloud: Any, ordered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert order_rules.EVENT_LINES_LIMIT == 200  # the line of docs/adr/0004
    monkeypatch.setattr(order_rules, "EVENT_LINES_LIMIT", 30)
    for step in range(101):
        await event(ordered, 4, percent=step / 100)
    lines = (await status(cloud))["eventLog"].splitlines()
    assert len(lines) <= 23
    assert '"percent":0,' in lines[1]
    assert '"percent":1,' in lines[-1]
    for _ in range(10):
        await event(ordered, 0)
        await event(ordered, 5)
    assert len((await status(cloud))["eventLog"].splitlines()) == 30


async def test_repeated_report_is_one_line(cloud: Any, ordered: Any) -> None:
    await event(ordered, 0)
    await event(ordered, 0)
    assert (await status(cloud))["eventLog"].count('"event":0') == 1


async def test_device_view_follows_the_version(cloud: Any, ordered: Any) -> None:
    await runs(ordered, "1.1")
    assert cloud.database.call(devices.view, UUID).os_version == "1.1"


# The rules themselves

FAILING = [e for e in OtaEvent if e not in {0, 4, 5, 7, 10}]


@pytest.mark.parametrize("number", FAILING)
def test_every_failing_event_ends_in_failed(number: OtaEvent) -> None:
    state = on_event(TaskState(Status.RUNNING), OtaEventReport("1", number), at_target=False)
    assert state.status is Status.FAILED
    assert state.failure


@pytest.mark.parametrize("number", list(OtaEvent))
def test_success_is_final(number: OtaEvent) -> None:
    done = TaskState(Status.SUCCESS, installed=True)
    assert on_event(done, OtaEventReport("1", number), at_target=False) == done
    assert on_state(done, OtaState.DOWNLOADING) == done


def test_clearing_the_package_away_after_installing_is_no_failure() -> None:
    state = TaskState(Status.INSTALLED)
    assert on_event(state, OtaEventReport("1", OtaEvent.DELETED), at_target=False) == state


def test_a_device_that_goes_on_after_a_failure_is_running_again() -> None:
    state = TaskState(Status.FAILED, 0.5, "connection lost")
    state = on_event(state, OtaEventReport("1", OtaEvent.DOWNLOADING, percent=0.6), at_target=False)
    assert state == TaskState(Status.RUNNING, 0.6)


def test_rolled_back_version_is_no_success() -> None:
    state = TaskState(Status.FAILED, failure="rolled back", installed=True)
    assert on_version(state, at_target=False) == state


@pytest.mark.parametrize(
    "reported", [OtaState.DOWNLOADING, OtaState.DOWNLOADED, OtaState.INSTALLING]
)
def test_states_of_work_are_running(reported: OtaState) -> None:
    assert on_state(TaskState(), reported).status is Status.RUNNING


def test_idle_says_nothing() -> None:
    assert on_state(TaskState(), OtaState.IDLE) == TaskState()
