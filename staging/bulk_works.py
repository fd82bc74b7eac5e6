"""What the commands ``story-cloud device bulk …`` ask of the running server: the jobs are the console's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from staging.bulk_jobs import Jobs
from staging.errors import StagingError
from staging.identity.rights import STAFF, Role, Viewer
from staging.store import Database, accounts, bulk, device_query, found
from staging.store.audit import Source
from staging.store.models import ENABLE
from wire.errors import FieldError
from wire.fields import get_int, get_object, get_string

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Work = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]


class BulkWorks:
    """The server's side of the commands; a step is taken as by an account of the staff on the console."""

    def __init__(self, jobs: Jobs, database: Database) -> None:
        """Preview and begin at ``jobs``."""
        self._jobs, self._database = jobs, database

    @property
    def works(self) -> Mapping[str, Work]:
        """What can be asked; a job has an entry in the audit log for each device."""
        return {"bulk.preview": self._preview, "bulk.begin": self._begin, "bulk.look": self._look}

    async def _preview(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        viewer = await self._viewer(wanted)
        package = None if wanted.get("package") is None else get_int(wanted, "package")
        step = bulk.parse_step(
            get_string(wanted, "action"), package, _texts(wanted, "add"), _texts(wanted, "remove")
        )
        if "uuids" in wanted:
            uuids = _texts(wanted, "uuids")
            ids = await self._database.read(found.numbers, uuids)
            return (await self._jobs.preview(step, viewer, None, ids)).to_json()
        given = get_object(wanted, "query")
        query = device_query.parse({name: _texts(given, name) for name in given})
        return (await self._jobs.preview(step, viewer, query)).to_json()

    async def _begin(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        viewer = await self._viewer(wanted)
        mark, user = get_string(wanted, "preview"), get_string(wanted, "user")
        return (await self._jobs.begin(mark, viewer, user, Source.COMMAND)).to_json()

    async def _look(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        viewer = await self._viewer(wanted)
        return self._jobs.find(get_int(wanted, "job"), viewer.account_id).to_json()

    async def _viewer(self, wanted: Mapping[str, object]) -> Viewer:
        return await self._database.read(_staff, get_string(wanted, "account"))


def _staff(session: Session, name: str) -> Viewer:
    account = accounts.one(session, name)
    if Role(account.role) not in STAFF:
        raise StagingError(f"account {name}: a family's; expected one of a tester or an operator")
    if account.status != ENABLE:
        raise StagingError(f"account {name}: it is disabled")
    return Viewer(account.id, Role(account.role))


def _texts(wanted: Mapping[str, object], name: str) -> Sequence[str]:
    value = wanted.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise FieldError(name, value, "a list of texts")
    return value
