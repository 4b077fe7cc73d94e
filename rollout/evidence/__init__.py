"""What gates see of real cells, each asked in its own way."""
