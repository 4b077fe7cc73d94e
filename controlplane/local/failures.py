"""What can go wrong with an embedded fleet that a person can do something about."""


class FleetFailed(Exception):
    """The fleet, or a part of it, is not what it should be; the message says what to do."""
