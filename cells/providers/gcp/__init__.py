"""GCP as cells see it: a project of its own for each, in a folder of the organisation."""
