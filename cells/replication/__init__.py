"""Replication between cells: which are joined, and how soon what happens here arrives there."""
