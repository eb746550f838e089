"""Memory of a training run: planned from a model's configuration, and measured in the process."""
