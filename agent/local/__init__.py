"""Access on the machine itself: HTTP on a socket and loopback, CoAP on loopback, and the client of both."""

# In the state folder; the agent creates it.
SOCKET_NAME = "agent.sock"
