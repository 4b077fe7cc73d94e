"""Forms and bounds that hold for every account; what may differ is in `identity.limits`."""

import re

DEFAULT_RETENTION_DAYS = 30
"""Temporal Cloud, "System limits"."""
# One `*`, leading or trailing.
FILTER_PATTERN = re.compile(r"\*?[^*]*|[^*]*\*")
SEARCH_ATTRIBUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
TAG = re.compile(r"[a-z0-9._@-]{1,63}")
"""Keys and values ("Namespaces")."""
REPLICAS = 2
"""Of one namespace, the active one included ("High Availability")."""
CAPACITY_UNITS = (2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0)
"""What can be provisioned, in TRU ("Capacity modes")."""
SPEC_BYTES = 128 * 1024
"""Ours: a spec travels through workflow histories. The CA bundle takes at most 32 KB of it."""
OPERATION_ID = re.compile(r"[\x21-\x7e]{1,200}")
"""Ours: what a caller may choose as `async_operation_id`; a UUID in practice."""
MOST_REQUESTS_PER_SECOND = 1_000_000
"""Ours: a higher request limit would limit nothing."""
CSR_BYTES = 16 * 1024
"""Ours: a certificate signing request travels through workflow histories."""
CLIENT_CERTIFICATE_DAYS = 365
"""Ours: how long a client certificate may live."""
SERIAL = re.compile(r"[0-9a-f]{1,40}")
"""At most 20 octets (RFC 5280, 4.1.2.2)."""
