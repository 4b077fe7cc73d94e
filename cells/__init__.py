"""Cells: what a complete copy of the data plane is, how one lives, and who fits into it."""
