"""Releases: the signed repository, kept by ``story-release`` in a process of its own."""
