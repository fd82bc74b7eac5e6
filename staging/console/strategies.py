"""Strategies: which devices a version is offered to, and when that begins and ends."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, id_of, number_of, text_of, texts_of
from staging.store import product_setup, releases
from staging.store.models import Strategy
from staging.store.releases import StrategyType
from wire.errors import FieldError


async def listing(call: Call) -> Response:
    """Return every strategy."""
    return JSONResponse(await call.services.database.read(_strategies))


async def add(call: Call) -> Response:
    """Add a strategy: which devices a version is offered to."""
    body = await call.body()
    kind = text_of(body, "type")
    if kind not in set(StrategyType):
        raise FieldError("type", kind, "PASSIVE or SILENT")
    call.done.target = f"version {text_of(body, 'version')}, {kind}"
    strategy = await call.services.database.write(
        releases.add_strategy,
        text_of(body, "version"),
        StrategyType(kind),
        texts_of(body, "from"),
        texts_of(body, "batches"),
        call.services.clock(),
        product_id=id_of(body, "productId"),
    )
    return JSONResponse({"id": strategy.id}, 201)


async def publish(call: Call) -> Response:
    """Publish a strategy; it takes effect."""
    strategy_id = number_of(call, "strategy")
    call.done.target = f"strategy {strategy_id}"
    strategy = await call.services.database.write(releases.publish_strategy, strategy_id)
    return JSONResponse({"status": strategy.status})


async def withdraw(call: Call) -> Response:
    """Withdraw a strategy; it ends."""
    strategy_id = number_of(call, "strategy")
    call.done.target = f"strategy {strategy_id}"
    strategy = await call.services.database.write(releases.withdraw_strategy, strategy_id)
    return JSONResponse({"status": strategy.status})


def _strategies(session: Session) -> dict[str, Any]:
    packages = {package.id: package for package, _ in releases.packages(session)}
    names = {view.product.id: view.product.name for view in product_setup.products(session)}
    return {
        "strategies": [
            _strategy(strategy, version, names[packages[strategy.package_id].product_id])
            for strategy, version in reversed(releases.strategies(session))
        ]
    }


def _strategy(strategy: Strategy, version: str, product: str) -> dict[str, Any]:
    return {
        "id": strategy.id,
        "product": product,
        "version": version,
        "type": strategy.type,
        "status": strategy.status,
        "from": strategy.from_versions,
        "batches": strategy.batches,
        "createTime": strategy.create_time,
    }
