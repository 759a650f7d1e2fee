"""The embedded default: generated questions, a tiny model trained on the spot, and a rule-based teacher behind HTTP."""
