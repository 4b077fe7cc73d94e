"""The service around the domains, and the vocabulary under them."""
