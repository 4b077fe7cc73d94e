"""Emptying cells by command: evacuate, drain, drill; follow it, steer it."""
