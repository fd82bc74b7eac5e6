"""The profile of a device, for flashing; it contains the device's token.

The request is a POST with the CSRF token, so that no URL gives the secret, and the answer is a
download that is not cached. Any logged-in user may get it until the device is bound, then only its
owner.
"""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from staging.console.call import Call, ConsoleError
from staging.console.devices import find
from staging.data_dir import read_endpoints
from staging.errors import StagingError
from staging.identity import ca
from staging.identity.profiles import profile_of
from wire.profile import render_profile


async def profile(call: Call) -> Response:
    """Return a device's profile as a file to download."""
    row = await find(call)
    if row.account_id not in (None, call.session.account_id):
        message = f"device {row.device.uuid}: is bound to {row.owner}; only they get its profile"
        raise ConsoleError(403, "not_yours", message)
    data = call.console.data
    endpoints = await asyncio.to_thread(read_endpoints, data)
    if endpoints is None:
        raise StagingError(f"device {row.device.uuid}: how it reaches this cloud is not known yet")
    authority = await asyncio.to_thread(ca.ensure_authority, data.ca)
    headers = {
        "Content-Disposition": f'attachment; filename="profile-{row.device.uuid}.json"',
        "Cache-Control": "no-store",
    }
    content = render_profile(profile_of(row.device, endpoints, authority))
    return Response(content, headers=headers, media_type="application/json")
