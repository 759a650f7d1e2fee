"""lema_ray turns a language model's own mistakes into a better, self-correcting model.

The nouns are in `records`, the flow in `docs/architecture.md`, the commands in `cli`.
"""

__version__ = "0.1.0"
