"""What the commands need beside the models: printable consoles, names of adapters, what the doctor examines."""
