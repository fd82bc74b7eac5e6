"""The daemon of a story machine: cloud link, outbox, voice, local access and command line."""
