"""How loud the machine is: the one path to its mixer, limits, the night, equal loudness of titles."""
