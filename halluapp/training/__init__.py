"""Training runs of adapters and projectors: recipes, objectives, the loop, run folders, measurements."""
