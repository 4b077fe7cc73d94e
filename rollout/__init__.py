"""How a release travels through the fleet: ring by ring, batch by batch, and back if need be."""
