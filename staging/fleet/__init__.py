"""``story-fleet``: thousands of simulated devices against a running cloud, by the real wire code."""
