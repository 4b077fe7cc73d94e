"""Failing over without being asked: when a cell is lost, and when it only looks like it."""
