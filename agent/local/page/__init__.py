"""The device page: what a family sees of its machine in a browser at home, without the cloud."""

# In the state folder; a factory reset erases it.
SESSIONS_NAME = "page-sessions.json"
PREFIX = "/page/"
