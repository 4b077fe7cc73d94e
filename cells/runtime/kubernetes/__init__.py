"""A cell's services in a Kubernetes cluster."""
