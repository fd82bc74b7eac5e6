"""The titles on the card: the folder that is read, its index, and the search for what is asked for."""
