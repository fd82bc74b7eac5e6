"""How a package comes over the network: whole or in parts, resumable, within bounds."""
