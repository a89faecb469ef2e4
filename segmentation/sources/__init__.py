"""Anything that holds orders -> bound, checked raw tables."""
