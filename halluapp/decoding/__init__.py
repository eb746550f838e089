"""All methods as rows of one batch: plan, engine and the events that stream out."""
