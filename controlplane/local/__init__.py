"""The embedded fleet: a whole control plane and its cells as processes of one machine."""
