"""How the weights in `assets/` were made. Nothing outside imports this."""
