"""`controlplane rollout`: releases on their way through the fleet."""
