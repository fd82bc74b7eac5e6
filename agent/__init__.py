"""The daemon of a story machine: the cloud link, the outbox, voice, local access, the command line."""
