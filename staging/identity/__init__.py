"""Who is who: the cloud's certificate authority, log-in, signatures, device profiles."""
