"""Kept lines -> one row a customer, explored and scaled."""
