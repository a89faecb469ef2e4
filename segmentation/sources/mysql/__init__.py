"""Orders in a MySQL or MariaDB database."""
