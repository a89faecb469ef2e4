"""The steps in order, each result kept by its key."""
