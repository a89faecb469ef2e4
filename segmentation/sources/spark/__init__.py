"""Orders that one machine cannot hold."""
