"""The embedded fleet's authoritative DNS server: one zone, signed dynamic updates."""
