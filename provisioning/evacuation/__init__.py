"""Emptying a cell: evacuations, drains and drills, which move its namespaces one by one."""
