"""The `controlplane` command."""


def main() -> None:
    from controlplane.cli.app import build

    build()()


if __name__ == "__main__":
    main()
