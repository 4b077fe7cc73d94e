"""The disruption ledger: who may disturb which cell now."""
