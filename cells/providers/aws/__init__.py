"""Cells in accounts of an AWS organisation."""
