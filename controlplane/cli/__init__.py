"""The `controlplane` command."""
