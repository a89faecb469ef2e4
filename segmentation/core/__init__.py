"""Words every room needs: errors, columns, parameters, limits, intervals, files on disk."""
