"""What leaves as a file, a table or an answer."""
