"""Short training runs: their losses, data and adapters."""
