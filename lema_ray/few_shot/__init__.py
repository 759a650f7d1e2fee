"""Worked examples that go into prompts: long text, kept out of the modules that use it."""
