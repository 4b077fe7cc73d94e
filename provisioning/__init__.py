"""Provisioning: what a namespace is, and how one comes to be, changes and goes."""
