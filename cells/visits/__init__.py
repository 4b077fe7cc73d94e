"""A visit brings one cell to a release, or back: preflight, schema, server, verify, done."""
