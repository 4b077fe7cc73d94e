"""The gatekeeper: a cell's small always-on process that says who may connect to what.

Envoy asks it once per connection (`admission`), and once per request where a client comes with an
API key (`key_admission`); a client with a certificate costs it nothing after that. Envoy takes
server certificates (`certificates`), the rules that it applies to every request by itself
(`policies`), and where requests go that another cell answers (`forwarding`) from it. All of this
goes over a Unix socket. Decisions are pure (`authorizer`, `key_authorizer`).

It knows the cell's records and API keys from the cell's database (`source`), or from the last copy
it made of them (`snapshot`): it needs neither the control plane nor, to go on, the database.

While it is stopped, open connections of clients with certificates go on, with revocations, limits
and routes as last told; requests with API keys are answered UNAVAILABLE, which SDKs try again; new
connections are refused.
"""
