"""`controlplane namespace`: a module for each group of its commands."""
