"""One file a revision: its number, an underscore, what it is for."""
