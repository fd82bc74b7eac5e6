"""The device's data points, what they drive, and the one dispatch that every protocol goes through."""
