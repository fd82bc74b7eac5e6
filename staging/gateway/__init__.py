"""The device gateway: sessions of devices, what their reports mean, and the cloud's own orders."""
