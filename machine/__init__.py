"""What the agent's board has: player, mixers, battery, logind, network. No data points, no links."""
