"""Reasons to believe or doubt, one file a question."""
