"""The profile that is flashed onto a device, from its store record and the server's addresses."""

from __future__ import annotations

from typing import Protocol

from staging.data_dir import DataDir, Endpoints, read_endpoints
from staging.errors import StagingError
from staging.identity import ca
from wire.profile import Profile, render_profile

# The profile must have one, but the cloud does not listen on it.
LWM2M_PORT = 5683


class DeviceRecord(Protocol):
    """What a profile says of a device; the store's devices have it."""

    @property
    def uuid(self) -> str:
        """Its uuid."""

    @property
    def token(self) -> str:
        """The secret with which it registers."""

    @property
    def bind_token(self) -> str | None:
        """The secret that its owner reads from it; None: not known yet."""

    @property
    def version(self) -> int:
        """0 in development, 1 in use."""


def profile_of(device: DeviceRecord, endpoints: Endpoints, authority: str) -> Profile:
    """Return a device's profile; ``authority`` is the CA's certificate in PEM.

    Raises:
        StagingError: the device's bind token is not known yet.
    """
    if device.bind_token is None:
        raise StagingError(f"device {device.uuid}: its bind token is not known yet")
    return Profile(
        uuid=device.uuid,
        token=device.token,
        bind_token=device.bind_token,
        server_addr=endpoints.device_host,
        coap_port=endpoints.device_port,
        lwm2m_port=LWM2M_PORT,
        rsa_ca_crt=authority,
        configures=_configures(endpoints),
        mac_id="",
        version=device.version,
    )


def _configures(endpoints: Endpoints) -> dict[str, object]:
    """Return what the profile tells beyond the document; a cloud with a broker wants MQTT."""
    told: dict[str, object] = {"otaRepository": f"{endpoints.packages or endpoints.api}/tuf"}
    if endpoints.mqtt_port:
        told |= {"link": "mqtt", "mqttPort": endpoints.mqtt_port}
    return told


def profile_file(data: DataDir, device: DeviceRecord, endpoints: Endpoints | None = None) -> bytes:
    """Return the file that is flashed onto a device; creates the CA if there is none.

    Args:
        data: the cloud's data folder.
        device: the device.
        endpoints: the addresses for the device; None: those of the last server run.

    Raises:
        StagingError: the device's bind token or the addresses are not known yet.
    """
    found = endpoints or read_endpoints(data)
    if found is None:
        raise StagingError(f"device {device.uuid}: how it reaches this cloud is not known yet")
    return render_profile(profile_of(device, found, ca.ensure_authority(data.ca)))
