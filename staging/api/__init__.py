"""The open API over HTTP (`/v1`), and the update repository (`/tuf`), for apps and devices."""
