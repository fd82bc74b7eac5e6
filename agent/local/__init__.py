"""Access on the machine itself: HTTP on a socket and loopback, CoAP on loopback, and the client of both."""
