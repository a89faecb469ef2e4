"""What to do, for whom, and how to learn whether it worked."""
