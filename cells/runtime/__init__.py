"""The servers of a cell: whether they answer, and in which version."""
