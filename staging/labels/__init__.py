"""What a batch of machines leaves the cloud with: profiles to flash, a table, and labels to stick on."""
