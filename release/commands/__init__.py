"""The commands of ``story-release``: each adds its parser, and names the function that runs it."""
