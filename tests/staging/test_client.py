"""The client of the open API, against a real server and a device."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from staging.client import OpenApiClient, OpenApiError
from staging.store.products import DATA_POINTS
from tests.staging.commands.conftest import UUID, Cloud, binding, flash, serving
from transport.connection import Connection
from transport.framed import FramedEndpoint
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.fields import dump_object
from wire.profile import Profile
from wire.reports import (
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    registration_payload,
    report_payload,
    report_query,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "app.py"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with serving(tmp_path_factory.mktemp("cloud") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def profile(cloud: Cloud) -> Profile:
    return flash(cloud)


@pytest.fixture(scope="module")
def client(cloud: Cloud, profile: Profile) -> Iterator[OpenApiClient]:
    with binding(cloud, profile) as made:
        yield made


def test_client_raises_by_code(cloud: Cloud, client: OpenApiClient) -> None:
    with pytest.raises(OpenApiError) as caught:
        client.info("f" * 14)
    assert (caught.value.code, caught.value.http_status) == ("1209", 404)
    with pytest.raises(OpenApiError) as caught:
        client.send(UUID, "GET", "power")
    assert caught.value.http_status == 503
    assert client.online([UUID]) == {UUID: False}
    nobody = OpenApiClient(cloud.api, "k", "s", "t", nonce=lambda: "n" * 16)
    with nobody, pytest.raises(OpenApiError, match="X-IOT-APP"):
        nobody.validate()


async def test_a_device_over_the_link(
    cloud: Cloud, profile: Profile, client: OpenApiClient
) -> None:
    """Go through the tour without updates: register, describe, control, report, history."""

    async def answer(request: Request) -> Answer:
        if request.path == ("resource",):
            return Answer(Code.CONTENT, dump_object(DATA_POINTS))
        return Answer(Code.CONTENT, b"75")

    context = ssl.create_default_context(cadata=profile.rsa_ca_crt)
    reader, writer = await asyncio.open_connection(
        profile.server_addr, profile.coap_port, ssl=context
    )
    endpoint = await FramedEndpoint.create()
    connection = Connection(reader, writer)
    serving = asyncio.create_task(endpoint.serve(connection, answer))
    await asyncio.sleep(0)
    me = Credentials(profile.uuid, profile.token)
    payload = registration_payload(me)
    reply = await endpoint.request(connection, "POST", REGISTER_PATH, payload, deadline=10)
    assert reply.code == Code.CONTENT
    for number in range(3):
        reply = await endpoint.request(
            connection,
            "POST",
            REPORT_PATH,
            report_payload({"volume": number}),
            query=report_query(me),
            deadline=10,
        )
        assert reply.code == Code.CHANGED
    assert await asyncio.to_thread(client.online, [UUID]) == {UUID: True}
    sent = await asyncio.to_thread(client.send, UUID, "GET", "power")
    assert sent == {"code": "2.05", "content": "75", "name": "power"}
    assert await asyncio.to_thread(client.resource, UUID) == DATA_POINTS
    page = await asyncio.to_thread(lambda: client.history(UUID, limit=2))
    assert [entry["value"] for entry in page.entries] == [75, 2]
    whole = await asyncio.to_thread(lambda: list(client.whole_history(UUID, kind="REPORT")))
    assert [entry["value"] for entry in whole] == [2, 1, 0]
    read = await asyncio.to_thread(lambda: list(client.whole_history(UUID, kind="RESOURCE")))
    assert [(entry["key"], entry["value"]) for entry in read] == [("power", 75)]
    latest = await asyncio.to_thread(client.realtime, UUID, "volume")
    assert latest is not None
    assert latest["value"] == 2
    keys = (client._apikey, client._secret, client._token)
    words = (sys.executable, str(EXAMPLE), cloud.api, *keys, UUID, profile.bind_token)
    example = await asyncio.to_thread(
        subprocess.run, words, capture_output=True, text=True, timeout=50, check=False
    )
    assert example.returncode == 0, example.stderr
    assert example.stdout.startswith("tester has 故事机\n播放内容 75\n音量 75\n")
    assert example.stdout.endswith("update: None\n")
    await endpoint.shutdown()
    await serving


def test_the_client_has_every_endpoint(
    cloud: Cloud, profile: Profile, client: OpenApiClient
) -> None:
    assert client.account()["userName"] == "tester"
    assert client.rename(UUID, "小熊")["name"] == "小熊"
    assert [device["name"] for device in client.devices()] == ["小熊"]
    assert client.device_page(1).devices == []
    assert client.device_page(1).total == 1
    assert client.info_by_token(UUID, profile.bind_token)["projectName"] == "story-machine"
    assert client.realtime(UUID, "nothing") is None
    with pytest.raises(OpenApiError) as caught:
        client.version(99)
    assert caught.value.code == "1506"
    assert httpx.get(f"{cloud.api}/docs").status_code == 200
