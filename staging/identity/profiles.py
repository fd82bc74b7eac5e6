"""The profile that is flashed onto a device, from its store record and the server's addresses."""

from __future__ import annotations

from staging.data_dir import Endpoints
from staging.errors import StagingError
from staging.store.models import Device
from wire.profile import Profile

# The profile must have one, but the cloud does not listen on it.
LWM2M_PORT = 5683


def profile_of(device: Device, endpoints: Endpoints, authority: str) -> Profile:
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
        configures={"otaRepository": f"{endpoints.api}/tuf"},
        mac_id="",
        version=device.version,
    )
