"""The control plane's PostgreSQL: schema, projections of entities, and the reads they serve."""
