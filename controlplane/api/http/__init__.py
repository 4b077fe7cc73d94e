"""HTTP and JSON as the service's `google.api.http` annotations and grpc-gateway have them."""
