"""The description of the open API: it is complete and readable, and the cloud's answers follow it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from fastapi import APIRouter
from hypothesis import strategies

from staging.api import openapi
from staging.api.app import ROUTERS, create_app
from staging.api.auth import SignedRequest
from staging.api.failures import errors, page_errors
from staging.errors import ErrorCode
from staging.gateway.gateway import Gateway
from staging.identity.oauth import DOCUMENT_REDIRECT
from staging.identity.signature import new_nonce, sign
from staging.services import Services
from staging.store import Database, apps, devices, releases, rollout_acts
from staging.store.models import Binding
from staging.store.nonces import Nonces
from staging.store.releases import StrategyType, Target

# Half a second to import, which every worker would take; the fixture does.
if TYPE_CHECKING:
    import schemathesis

pytestmark = pytest.mark.one_database

UUID = "0083000000000a"
AUTHORIZE = "/account/authorize"
SIGNED = [
    ("GET", "/account/validate"),
    ("GET", "/account/infos"),
    ("POST", "/device/bind"),
    ("PUT", "/device/name/update"),
    ("POST", "/device/unbind"),
    ("GET", "/device/bind/list"),
    ("GET", "/device/info/by_token"),
    ("GET", "/device/info/by_uuid"),
    ("GET", "/device/resource"),
    ("POST", "/device/control/send"),
    ("POST", "/device/query/data/connect"),
    ("GET", "/device/query/data/history"),
    ("GET", "/device/query/data/realtime"),
    ("GET", "/device/ota/new_version"),
    ("GET", "/device/ota/version/info"),
    ("POST", "/device/ota/update"),
    ("GET", "/device/ota/update/status"),
]
# Not the document's: `staging.api.family`.
OURS = [
    ("GET", "/device/data"),
    ("DELETE", "/device/data"),
    ("GET", "/device/data/voice"),
    ("DELETE", "/device/data/voice"),
    ("GET", "/device/data/receipt"),
    ("GET", "/device/data/audit"),
]
SIGNED += OURS
OPERATIONS = [*SIGNED, ("GET", AUTHORIZE), ("POST", AUTHORIZE)]


async def test_every_endpoint_of_the_document_is_described(cloud: Any) -> None:
    schema = (await cloud.http.get("/openapi.json")).json()
    described = {
        (method.upper(), path.removeprefix("/v1"))
        for path, operations in schema["paths"].items()
        for method in operations
    }
    assert described == set(OPERATIONS)
    text = str(schema["paths"])
    assert all(f"{int(code)} {code.meaning}" in text for code in ErrorCode)
    schemes = schema["components"]["securitySchemes"]
    assert {s["name"] for s in schemes.values()} == {"X-IOT-APP", "X-IOT-Signature", "X-IOT-Token"}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) is (path != "/v1/account/authorize")
            assert "422" not in operation["responses"]


def undeclared(routers: Iterable[APIRouter]) -> list[str]:
    """Return the routes that lack an error which every route of their kind can answer."""
    any_route, signed = {400, 413}, {401, 404, 426, 500, 503}
    return [
        route.name
        for route in openapi.routes_of(routers)
        if not any_route | (signed if openapi.is_signed(route) else set()) <= set(route.responses)
    ]


def test_every_route_declares_its_errors() -> None:
    assert len(openapi.routes_of(ROUTERS)) == len(OPERATIONS)
    assert undeclared(ROUTERS) == []


def test_a_route_without_declared_errors_is_noticed() -> None:
    router = APIRouter()

    @router.get("/bare")
    async def bare() -> None: ...

    @router.get("/signed", responses=page_errors({}))
    async def signed(_signed: SignedRequest) -> None: ...

    @router.get("/good", responses=errors())
    async def good(_signed: SignedRequest) -> None: ...

    assert undeclared([router]) == ["bare", "signed"]


async def test_page_shows_all_of_it_and_fetches_nothing(cloud: Any) -> None:
    response = await cloud.http.get("/docs")
    schema = (await cloud.http.get("/openapi.json")).json()
    assert response.headers["content-type"].startswith("text/html")
    assert len(schema["paths"]) > 20
    for path in schema["paths"]:
        assert f">{'GET' if 'get' in schema['paths'][path] else ''}" in response.text
        assert path in response.text
    assert "2007 device version is higher than package version" in response.text
    assert not re.findall(
        r"(?:src|href)=.(?!#|/openapi\.json|/client\.(?:js|py))[^>]*", response.text
    )
    assert "<script" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_page_escapes_what_it_shows() -> None:
    schema = {
        "info": {"title": "<b>"},
        "components": {"schemas": {}},
        "paths": {"/<i>": {"get": {"description": "<u>", "responses": {}}}},
    }
    page = openapi.page(schema)
    assert not re.search("<[biu]>", page)


# schemathesis generates requests from the description; the answers must conform to it.

CHECKS = ("status_code", "content_type", "response_headers", "response_schema")
# Limited: all endpoints together take about twenty seconds.
SETTINGS = hypothesis.settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


class Fuzzed:
    """Run a cloud in the test's process, with one device that is bound to its only user."""

    def __init__(self, folder: Path) -> None:
        import schemathesis
        from schemathesis.specs.openapi import checks

        self.checks = [getattr(checks, f"{name}_conformance") for name in CHECKS]
        self.database = Database(folder / "cloud.sqlite")
        call = self.database.call
        self.app = call(apps.add_app, "fuzz", apps.AppType.WEB, None, 0)
        self.token, self.account = call(apps.issue_token, self.app.id, "tester", 0)
        self.device = call(devices.add, UUID, 0)
        target = Target("1.1.tar", 521, "0" * 32, "0" * 64)
        call(releases.add_package, "1.1", target, "", 0)
        strategy = call(releases.add_strategy, "1.1", StrategyType.PASSIVE, [], [], 0)
        call(rollout_acts.start, strategy.id, 0)
        gateway = Gateway(self.database, api_url=lambda: "http://cloud")
        services = Services(self.database, gateway, Nonces(self.database, lambda: 0), lambda: 0)
        self.schema = schemathesis.openapi.from_asgi(
            "/openapi.json", create_app(services, folder / "tuf")
        )

    def prepare(self, case: schemathesis.Case[Any], *, known: bool) -> None:
        """Sign a request; a ``known`` one is about existing things."""
        signed = sign(new_nonce(), self.app.apikey, self.app.secret, self.token)
        case.headers.update(
            {"X-IOT-APP": self.app.apikey, "X-IOT-Signature": signed, "X-IOT-Token": self.token}
        )
        self.database.call(self._bind)
        there: dict[str, Any] = {
            "deviceUuid": UUID,
            "deviceUuids": [UUID],
            "token": self.device.bind_token,
            "name": "power",
            "packageId": 1,
            "client_id": str(self.app.id),
            "redirect_uri": DOCUMENT_REDIRECT,
        }
        for place in (case.query, case.body):
            if known and isinstance(place, dict):
                place.update({name: there[name] for name in place.keys() & there.keys()})

    def _bind(self, session: Any) -> None:
        if session.get(Binding, self.device.id) is None:
            session.add(
                Binding(device_id=self.device.id, account_id=self.account.id, create_time=0)
            )


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    made = Fuzzed(tmp_path_factory.mktemp("fuzzed"))
    yield made
    made.database.close()


def cases(fuzzed: Fuzzed, method: str, path: str, mode: str) -> Any:
    from schemathesis import GenerationMode

    operation = fuzzed.schema[f"/v1{path}"][method]
    return operation.as_strategy(generation_mode=GenerationMode[mode])


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_described(fuzzed: Fuzzed, method: str, path: str, mode: str) -> None:
    @SETTINGS
    @hypothesis.given(case=cases(fuzzed, method, path, mode), known=strategies.booleans())
    def check(case: schemathesis.Case[Any], *, known: bool) -> None:
        fuzzed.prepare(case, known=known)
        response = case.call()
        assert response.status_code != 500, response.text
        case.validate_response(response, checks=fuzzed.checks)

    check()


@pytest.mark.parametrize(("method", "path"), SIGNED)
def test_nothing_is_told_without_a_signature(fuzzed: Fuzzed, method: str, path: str) -> None:
    @hypothesis.settings(SETTINGS, max_examples=3)
    @hypothesis.given(case=cases(fuzzed, method, path, "POSITIVE"))
    def check(case: schemathesis.Case[Any]) -> None:
        headers = {"X-IOT-APP": fuzzed.app.apikey, "X-IOT-Token": fuzzed.token}
        case.headers.pop("X-IOT-Signature", None)
        response = case.call(headers=headers)
        # Parameters are checked first; the answer reveals nothing about the store.
        assert response.status_code in {400, 401}, response.text

    check()
