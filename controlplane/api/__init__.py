"""The Cloud Ops API over gRPC and the Fleet API over HTTP."""


def main() -> None:
    """Run the API as a process, with the settings in the environment."""
    # Imported here, for whoever only names this package does not want gRPC and a web server.
    from controlplane.api.process import main as run_process

    run_process()
