"""Replicas of a namespace: adding, removing, failing over, moving. Each a saga with its undo."""
