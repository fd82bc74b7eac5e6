"""The profile of a device, for flashing; it contains the device's token.

It is handed out once, to the operator who made the device. The request is a POST with the CSRF token, so
that no URL gives the secret, and the answer is a download that is not cached.
"""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from staging.console.call import Call
from staging.identity.profiles import profile_file
from staging.store import issue


async def download(call: Call) -> Response:
    """Return a device's profile as a file to download."""
    database, uuid = call.services.database, call.row.device.uuid
    # Made before it is marked as handed out: what cannot be made is not lost.
    content = await asyncio.to_thread(profile_file, call.console.data, call.row.device)
    now = call.services.clock()
    await database.write(issue.take_profile, uuid, call.session.account_id, now)
    headers = {
        "Content-Disposition": f'attachment; filename="profile-{uuid}.json"',
        "Cache-Control": "no-store",
    }
    return Response(content, headers=headers, media_type="application/json")
