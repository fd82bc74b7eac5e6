"""Strategies: which devices a version is offered to. What is done to one is in `staging.console.rollouts`."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, id_of, text_of, texts_of
from staging.console.rollouts import settings_of
from staging.store import product_setup, releases, rollouts
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
    phases = texts_of(body, "phases")
    given = settings_of(body)

    def work(session: Session) -> int:
        strategy = releases.add_strategy(
            session,
            text_of(body, "version"),
            StrategyType(kind),
            texts_of(body, "from"),
            texts_of(body, "batches"),
            call.services.clock(),
            product_id=id_of(body, "productId"),
        )
        if phases or given:
            rollouts.set_plan(session, strategy.id, phases or None, given)
        return strategy.id

    return JSONResponse({"id": await call.services.database.write(work)}, 201)


def _strategies(session: Session) -> dict[str, Any]:
    packages = {package.id: package for package, _ in releases.packages(session)}
    names = {view.product.id: view.product.name for view in product_setup.products(session)}
    return {
        "strategies": [
            _strategy(strategy, version, names[packages[strategy.package_id].product_id])
            | _phases(session, strategy.id)
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


def _phases(session: Session, strategy_id: int) -> dict[str, Any]:
    row = rollouts.row_of(session, strategy_id)
    return {
        "phases": [str(phase) for phase in rollouts.phases_of(row)],
        "open": 0 if row is None else len(row.cuts or []),
    }
