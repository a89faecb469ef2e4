"""The scoring API: a run's model behind Flask, strict input, never a wrong answer."""
