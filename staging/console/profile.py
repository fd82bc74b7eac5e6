"""The profile of a device, for flashing; it contains the device's token.

The request is a POST with the CSRF token, so that no URL gives the secret, and the answer is a
download that is not cached. Any logged-in user may get it until the device is bound, then only its
owner.
"""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from staging.console.call import Call, ConsoleError
from staging.console.device import find
from staging.identity.profiles import profile_file


async def download(call: Call) -> Response:
    """Return a device's profile as a file to download."""
    row = await find(call)
    if row.account_id not in (None, call.session.account_id):
        message = f"device {row.device.uuid}: is bound to {row.owner}; only they get its profile"
        raise ConsoleError(403, "not_yours", message)
    content = await asyncio.to_thread(profile_file, call.console.data, row.device)
    headers = {
        "Content-Disposition": f'attachment; filename="profile-{row.device.uuid}.json"',
        "Cache-Control": "no-store",
    }
    return Response(content, headers=headers, media_type="application/json")
