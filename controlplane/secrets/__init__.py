"""Where keys, passwords and tokens live: a port, the names of what we keep, and adapters."""
