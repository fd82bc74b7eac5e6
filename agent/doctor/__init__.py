"""``story-agent doctor``: examines the whole machine in seconds, and says cause and remedy of what it finds."""
