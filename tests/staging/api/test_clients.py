"""The clients that the cloud makes of its description: complete, and with the parameters of the description.

They are called by tests/staging/console/test_api_clients.py.
"""

from __future__ import annotations

import ast
from typing import Any

import pytest

from staging.api import clients, openapi
from staging.api.app import ROUTERS
from staging.api.envelope import PREFIX
from staging.client import OpenApiClient

pytestmark = pytest.mark.one_database


@pytest.fixture
async def described(cloud: Any) -> Any:
    return (await cloud.http.get("/openapi.json")).json()


def test_each_signed_endpoint_has_a_name_that_our_own_client_has_too() -> None:
    signed = {
        (method, route.path)
        for route in openapi.routes_of(ROUTERS)
        if openapi.is_signed(route)
        for method in route.methods or ()
    }
    assert signed - set(clients.NAMES) == set()
    assert [name for name in clients.NAMES.values() if not hasattr(OpenApiClient, name)] == []
    assert len(set(clients.NAMES.values())) == len(clients.NAMES)


def test_required_parameters_come_first(described: Any) -> None:
    found = {each.name: each for each in clients.operations(described, PREFIX)}
    assert set(found) >= set(clients.NAMES.values())
    assert found["send"].body[-1] == ("content", False)
    assert {name for name, _ in found["send"].body[:3]} == {"deviceUuid", "method", "name"}
    assert found["history"].query[0] == ("deviceUuid", True)
    assert found["validate"].query == found["validate"].body == ()


async def test_both_are_served_with_a_method_for_each(cloud: Any) -> None:
    javascript = await cloud.http.get("/client.js")
    assert javascript.headers["content-type"].startswith("text/javascript")
    assert "infoByToken({ deviceUuid, token } = {})" in javascript.text
    assert "//METHODS" not in javascript.text
    python = await cloud.http.get("/client.py")
    [made] = [
        each for each in ast.parse(python.text).body if getattr(each, "name", "") == "StoryApi"
    ]
    methods = {each.name for each in made.body if isinstance(each, ast.FunctionDef)}
    assert methods >= set(clients.NAMES.values())


def test_text_of_the_description_ends_no_comment() -> None:
    """A docstring of ours with quotes would be code in the client."""
    operation = clients.Operation("a", "GET", "/v1/a", 'one """two', (), ())
    ast.parse("class A:\n" + clients._python_method(operation))
