"""Cells in clouds by command: build them, follow them, take them down."""
