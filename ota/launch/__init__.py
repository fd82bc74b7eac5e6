"""What starts at boot: which release runs. Standard library only, for it runs before anything else loads."""
