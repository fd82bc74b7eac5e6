"""The cloud behind an MQTT broker: the broker's settings, its process, and the worker's side."""
