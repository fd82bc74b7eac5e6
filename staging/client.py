"""A synchronous client of the open API, which signs each request.

Each endpoint has one method, which returns ``data`` as parsed JSON or raises `OpenApiError`.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from staging.identity.signature import new_nonce, sign

# The cloud waits up to 10 s for a device before it responds.
TIMEOUT = 15.0
# The maximum size of a page of the device list.
DEVICES_LIMIT = 1000


class OpenApiError(Exception):
    """The cloud answered with an error.

    Attributes:
        code: the envelope's code ("1212"), or the HTTP status where the table has none.
        http_status: the HTTP status.
        message: the envelope's message.
    """

    def __init__(self, code: str, http_status: int, message: str) -> None:
        """Store the arguments as the attributes of the same names."""
        super().__init__(f"{code} (HTTP {http_status}): {message}")
        self.code = code
        self.http_status = http_status
        self.message = message


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Entries, newest first, and the cursor of the next page (None on the last page)."""

    entries: list[dict[str, Any]]
    next_page: int | None


@dataclass(frozen=True, slots=True)
class DevicePage:
    """Devices, newest first, and the total number of devices."""

    devices: list[dict[str, Any]]
    total: int


class OpenApiClient:
    """A client for one app and one user. Network errors are httpx's exceptions."""

    def __init__(
        self,
        base_url: str,
        apikey: str,
        secret: str,
        token: str,
        *,
        nonce: Callable[[], str] = new_nonce,
        http: httpx.Client | None = None,
        ca: Path | None = None,
    ) -> None:
        """Create a client.

        Args:
            base_url: the API's address without ``/v1``, such as ``http://127.0.0.1:8080``.
            apikey: the app's key.
            secret: web: the secret key; Android: package and apk signature; iOS: the bundle id.
            token: the user's access token.
            nonce: returns a new nonce, 16 characters, for each request.
            http: the HTTP client to use, which its owner closes; None creates one.
            ca: for that one: the CA of a cloud with TLS of its own (``ca/ca.crt``); None: the system's.
        """
        self._apikey, self._secret, self._token = apikey, secret, token
        self._base = f"{base_url.rstrip('/')}/v1"
        self._nonce = nonce
        self._owned = http is None
        verify = True if ca is None else ssl.create_default_context(cafile=ca)
        self._http = http or httpx.Client(timeout=TIMEOUT, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Call `close`."""
        self.close()

    def close(self) -> None:
        """Close the HTTP client, unless the caller passed it in."""
        if self._owned:
            self._http.close()

    def validate(self) -> bool:
        """1.2: check the token; raises OpenApiError (404, 426) if it is not valid."""
        return bool(self._get("/account/validate")["data"])

    def account(self) -> dict[str, Any]:
        """1.3: return the token's account."""
        return _object(self._get("/account/infos"))

    def bind(self, uuid: str, bind_token: str) -> bool:
        """2.1: bind a device to the user."""
        body = {"deviceUuid": uuid, "token": bind_token}
        return bool(self._post("/device/bind", body)["data"])

    def rename(self, uuid: str, name: str) -> dict[str, Any]:
        """2.2: give a device a name; returns the device."""
        body = {"deviceUuid": uuid, "name": name}
        return _object(self._exchange("PUT", "/device/name/update", json=body))

    def unbind(self, uuid: str) -> bool:
        """2.3: unbind a device from the user."""
        return bool(self._post("/device/unbind", {"deviceUuid": uuid})["data"])

    def device_page(self, start: int = 0, limit: int | None = None) -> DevicePage:
        """2.4: return one page of the user's devices, newest first."""
        answer = self._get("/device/bind/list", start=start, limit=limit)
        return DevicePage(answer["data"], answer["total"])

    def devices(self) -> Iterator[dict[str, Any]]:
        """2.4: yield all of the user's devices, newest first; pages are fetched on demand."""
        start = 0
        while True:
            page = self.device_page(start, DEVICES_LIMIT)
            yield from page.devices
            start += len(page.devices)
            if not page.devices or start >= page.total:
                return

    def info_by_token(self, uuid: str, bind_token: str) -> dict[str, Any]:
        """2.5: return a device, bound or not, to a caller that has its bind token."""
        return _object(self._get("/device/info/by_token", deviceUuid=uuid, token=bind_token))

    def info(self, uuid: str) -> dict[str, Any]:
        """2.6: return a bound device."""
        return _object(self._get("/device/info/by_uuid", deviceUuid=uuid))

    def resource(self, uuid: str) -> dict[str, Any]:
        """3.1: return the device's self-description."""
        return _object(self._get("/device/resource", deviceUuid=uuid))

    def send(self, uuid: str, method: str, name: str, content: str | None = None) -> dict[str, Any]:
        """3.4: read (GET) or set (PUT) a data point: ``{"code": "2.05", "content": …, "name": …}``."""
        body = {"deviceUuid": uuid, "method": method, "name": name}
        if content is not None:
            body["content"] = content
        return _object(self._post("/device/control/send", body))

    def online(self, uuids: Sequence[str]) -> dict[str, bool]:
        """4.1: return which of at most twenty devices are online."""
        answer = self._post("/device/query/data/connect", {"deviceUuids": list(uuids)})
        return {entry["deviceUuid"]: entry["status"] for entry in answer["data"]}

    def history(
        self,
        uuid: str,
        *,
        key: str | None = None,
        kind: str | None = None,
        start: str | None = None,
        end: str | None = None,
        limit: int | None = None,
        next_page: int | None = None,
    ) -> HistoryPage:
        """4.2: return one page of a device's history; times as ``2017-04-14T08:31:10Z``."""
        answer = self._get(
            "/device/query/data/history",
            deviceUuid=uuid,
            propertyKey=key,
            propertyType=kind,
            startTime=start,
            endTime=end,
            limit=limit,
            nextPage=next_page,
        )
        return HistoryPage(answer["data"], answer["nextPage"])

    def whole_history(
        self, uuid: str, *, key: str | None = None, kind: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """4.2: yield a device's whole history, newest first; pages are fetched on demand."""
        cursor: int | None = None
        while True:
            page = self.history(uuid, key=key, kind=kind, limit=100, next_page=cursor)
            yield from page.entries
            cursor = page.next_page
            if cursor is None:
                return

    def audit(
        self, uuid: str | None = None, *, limit: int | None = None, before: int | None = None
    ) -> dict[str, Any]:
        """Ours: return a page of what was done to the user's devices and account; ``nextPage`` is the next ``before``."""
        return self._get("/device/data/audit", deviceUuid=uuid, limit=limit, nextPage=before)

    def realtime(self, uuid: str, key: str) -> dict[str, Any] | None:
        """4.3: return a data point's latest value and its time in ms, or None if there is none."""
        answer = self._get("/device/query/data/realtime", deviceUuid=uuid, propertyKey=key)
        return None if answer["data"] is None else _object(answer)

    def new_version(self, uuid: str) -> dict[str, Any] | None:
        """5.1: return the update that is offered to the device, or None."""
        answer = self._get("/device/ota/new_version", deviceUuid=uuid)
        return None if answer["data"] is None else _object(answer)

    def version(self, package_id: int) -> dict[str, Any]:
        """5.2: return a version's package."""
        return _object(self._get("/device/ota/version/info", packageId=package_id))

    def update(self, uuid: str, package_id: int, strategy_id: int | None = None) -> bool:
        """5.3: order the update."""
        body: dict[str, Any] = {"packageId": package_id, "deviceUuid": uuid}
        if strategy_id is not None:
            body["strategyId"] = strategy_id
        return bool(self._post("/device/ota/update", body)["data"])

    def update_status(self, uuid: str) -> dict[str, Any]:
        """5.4: return the status of the device's latest update."""
        return _object(self._get("/device/ota/update/status", deviceUuid=uuid))

    # Ours, not the document's: what is stored of the user's family.

    def stored(self, uuid: str) -> Iterator[dict[str, Any]]:
        """Yield everything that is stored of a device's family; the last object's ``part`` is ``end``."""
        url, params = f"{self._base}/device/data", {"deviceUuid": uuid}
        with self._http.stream("GET", url, params=params, headers=self._headers()) as response:
            if response.is_error:
                response.read()
                raise _error_of(response)
            for line in response.iter_lines():
                yield json.loads(line)

    def erase_stored(self, uuid: str) -> dict[str, Any]:
        """Erase everything that is stored of a device's family; returns the receipt."""
        return _object(self._delete("/device/data", deviceUuid=uuid))

    def voice_ledger(
        self, uuid: str, limit: int | None = None, next_page: int | None = None
    ) -> HistoryPage:
        """Return one page of the ledger of the child's voice, newest first."""
        answer = self._get("/device/data/voice", deviceUuid=uuid, limit=limit, nextPage=next_page)
        return HistoryPage(answer["data"], answer["nextPage"])

    def erase_voice(self, uuid: str, *ids: int) -> dict[str, Any]:
        """Erase utterances by their ids in the ledger, all without any; returns the receipt."""
        given = ",".join(map(str, ids)) or None
        return _object(self._delete("/device/data/voice", deviceUuid=uuid, id=given))

    def receipt(self, number: str) -> dict[str, Any]:
        """Return what has become of an order to erase that this user gave."""
        return _object(self._get("/device/data/receipt", receipt=number))

    def _delete(self, path: str, **params: str | None) -> dict[str, Any]:
        given = {name: value for name, value in params.items() if value is not None}
        return self._exchange("DELETE", path, params=given)

    def _get(self, path: str, **params: str | int | None) -> dict[str, Any]:
        given = {name: value for name, value in params.items() if value is not None}
        return self._exchange("GET", path, params=given)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._exchange("POST", path, json=body)

    def _headers(self) -> dict[str, str]:
        return {
            "X-IOT-APP": self._apikey,
            "X-IOT-Signature": sign(self._nonce(), self._apikey, self._secret, self._token),
            "X-IOT-Token": self._token,
        }

    def _exchange(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        response = self._http.request(method, self._base + path, headers=self._headers(), **content)
        envelope = _envelope(response)
        if envelope is None or response.is_error or str(envelope.get("code")) != "0":
            raise _error_of(response)
        return envelope


def _envelope(response: httpx.Response) -> dict[str, Any] | None:
    try:
        envelope = response.json()
    except ValueError:
        return None
    return envelope if isinstance(envelope, dict) else None


def _error_of(response: httpx.Response) -> OpenApiError:
    envelope = _envelope(response)
    if envelope is None:
        return OpenApiError(str(response.status_code), response.status_code, "no envelope")
    code, message = str(envelope.get("code")), str(envelope.get("message"))
    return OpenApiError(code, response.status_code, message)


def _object(envelope: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = envelope["data"]
    return data
