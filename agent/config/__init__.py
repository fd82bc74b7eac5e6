"""``story-agent config``: what is wrong with the settings, what they are and where each comes from, and their schema."""
