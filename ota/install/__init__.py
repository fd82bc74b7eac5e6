"""What puts a verified package in place: the slots installer and the RAUC installer."""
