"""Scaled rows -> named segments with flags; the model as data."""
