"""Raw tables -> ledger and kept lines, every drop counted; what is wrong with the data."""
