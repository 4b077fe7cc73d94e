"""The gatekeeper: a cell's small always-on process that says who may connect to what.

Envoy asks it once per connection (`admission`), and takes server certificates from it
(`certificates`), both over a Unix socket. It knows the cell's records from the cell's database
(`source`), or from the last copy it made of them (`snapshot`): it needs neither the control plane
nor, to go on, the database. Decisions are pure (`authorizer`).
"""
