"""What runs in every cell in front of Temporal: Envoy's configuration and the gatekeeper."""
