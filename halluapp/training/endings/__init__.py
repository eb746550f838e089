"""How a run ends, and how it goes on: failures and signals in one sentence, and what --resume may change."""
