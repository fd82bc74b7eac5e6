"""Stories from the web: fetched by the agent itself, kept, and handed to the player on this machine."""
