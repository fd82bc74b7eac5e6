"""The commands of ``story-cloud``, one file a subject, and their way into the running server."""
