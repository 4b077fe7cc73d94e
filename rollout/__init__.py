"""Rollouts: how a release travels through the rings of the fleet."""
