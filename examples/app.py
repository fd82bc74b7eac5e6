"""An app of the open API in thirty lines: bind a story machine, turn it up, play, see what happened.

    python examples/app.py API_URL APIKEY SECRET ACCESS_TOKEN DEVICE_UUID BIND_TOKEN

`story-cloud app add`, `token` and `device add` print these values; `make run` shows them too.
"""

# ruff: noqa: D103, INP001, T201  # a script to read from top to bottom
import sys

import httpx

from staging.client import OpenApiClient, OpenApiError


def main(api: str, apikey: str, secret: str, token: str, uuid: str, bind_token: str) -> None:
    with OpenApiClient(api, apikey, secret, token) as cloud:
        if uuid not in {device["deviceUuid"] for device in cloud.devices()}:
            cloud.bind(uuid, bind_token)
        print(cloud.account()["userName"], "has", cloud.rename(uuid, "故事机")["name"])
        if not cloud.online([uuid])[uuid]:
            print("it is offline")
            return
        for point in cloud.resource(uuid)["resources"]:
            print(point["label"], cloud.send(uuid, "GET", point["name"])["content"])
        print(cloud.send(uuid, "PUT", "volume", "7"))
        print(cloud.send(uuid, "PUT", "play", "播放儿歌"))
        print("volume since", cloud.realtime(uuid, "volume"))
        for entry in cloud.history(uuid, kind="RESOURCE", limit=5).entries:
            print(entry["timeStamp"], entry["key"], entry["value"])
        print("update:", cloud.new_version(uuid))


if len(sys.argv) != 7:
    sys.exit(__doc__)
try:
    main(*sys.argv[1:])
except (OpenApiError, httpx.HTTPError) as error:
    sys.exit(f"the cloud refused: {error}")
