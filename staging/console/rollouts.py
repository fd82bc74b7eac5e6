"""One strategy: its page, its phases, and what is done to it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, number_of, text_of, texts_of
from staging.store import rollout_acts, rollout_view, rollouts
from staging.store.rollout_acts import Done
from wire.errors import FieldError

# What becomes of the devices that are busy with a strategy that ends.
FINISH, CANCEL = "finish", "cancel"


async def one(call: Call) -> Response:
    """Return what there is to know of a strategy."""
    strategy_id, now = number_of(call, "strategy"), call.services.clock()
    account_id = call.session.account_id
    read = call.services.database.read
    return JSONResponse(await read(rollout_view.view, strategy_id, now, account_id))


async def preview(call: Call) -> Response:
    """Return whom publishing a strategy reaches, and whom it leaves out."""
    strategy_id, now = number_of(call, "strategy"), call.services.clock()
    return JSONResponse(await call.services.database.read(rollout_view.preview, strategy_id, now))


async def publish(call: Call) -> Response:
    """Let a strategy take effect, in its first phase."""
    now = call.services.clock()
    return await _do(call, lambda session, number: rollout_acts.start(session, number, now))


async def pause(call: Call) -> Response:
    """Offer nothing more until it is resumed."""
    return await _do(call, rollout_acts.pause)


async def resume(call: Call) -> Response:
    """Go on after a pause or a halt."""
    now = call.services.clock()
    return await _do(call, lambda session, number: rollout_acts.resume(session, number, now))


async def withdraw(call: Call) -> Response:
    """End a strategy; ``running`` says what becomes of the devices that are busy with it."""
    body, now = await call.body(), call.services.clock()
    wanted = text_of(body, "running") if "running" in body else FINISH
    if wanted not in {FINISH, CANCEL}:
        raise FieldError("running", wanted, f"{FINISH} or {CANCEL}")

    def work(session: Session, number: int) -> Done:
        return rollout_acts.withdraw(session, number, now, recall=wanted == CANCEL)

    return await _do(call, work, wanted)


async def retry(call: Call) -> Response:
    """Give each device that failed one more order."""
    now = call.services.clock()
    return await _do(call, lambda session, number: rollout_acts.retry(session, number, now))


async def open_next(call: Call) -> Response:
    """Open the next phase, whatever it waits for."""
    now = call.services.clock()
    return await _do(call, lambda session, number: rollout_acts.open_next(session, number, now))


async def plan(call: Call) -> Response:
    """Set the phases, and what each waits for."""
    strategy_id, body = number_of(call, "strategy"), await call.body()
    wanted = texts_of(body, "phases") if "phases" in body else None
    call.done.target = f"strategy {strategy_id}: {', '.join(wanted or ()) or 'settings'}"
    given = settings_of(body)
    row = await call.services.database.write(rollouts.set_plan, strategy_id, wanted, given)
    return JSONResponse({"phases": row.phases, "settings": row.settings})


def settings_of(body: dict[str, Any]) -> dict[str, object]:
    """Return the settings in a request, {} if there are none; raises FieldError."""
    given = body.get("settings", {})
    if not isinstance(given, dict):
        raise FieldError("settings", given, "an object with numbers")
    return given


async def _do(call: Call, change: rollout_acts.Change, more: str = "") -> Response:
    strategy_id = number_of(call, "strategy")
    call.done.target = f"strategy {strategy_id}{' ' if more else ''}{more}"
    done = await call.services.database.write(change, strategy_id)
    return JSONResponse({
        "status": done.state.value,
        "open": done.phase,
        "running": done.running,
        "dropped": done.dropped,
        "retried": done.retried,
    })  # fmt: skip
