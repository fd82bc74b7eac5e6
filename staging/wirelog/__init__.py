"""The wire log: every frame between a device and the cloud, as hex and decoded, without secrets."""
