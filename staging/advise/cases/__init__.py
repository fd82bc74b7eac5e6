"""The cases: what is done to the device, and what is noted of it. None of them judges."""
