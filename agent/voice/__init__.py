"""What the child says, on its way to the cloud."""
