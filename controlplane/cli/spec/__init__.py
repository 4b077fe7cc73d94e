"""The spec of a namespace as people write it: in options and in files."""
