"""Notebooks -> pages."""
