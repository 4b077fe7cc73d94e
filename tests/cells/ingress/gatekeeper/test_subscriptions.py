"""What an Envoy is told that asks for all there are: the incremental protocol's wildcard."""

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from cells.ingress.gatekeeper.subscriptions import NONE, Subscriptions, nonce


def newly_connected(**still_has: str) -> Subscriptions:
    subscriptions = Subscriptions(everything=True)
    subscriptions.receive(DeltaDiscoveryRequest(initial_resource_versions=still_has))
    return subscriptions


def test_who_asks_for_all_is_told_of_whatever_comes() -> None:
    subscriptions = newly_connected()

    assert subscriptions.wanted({"west", "east"}) == ["east", "west"]
    assert subscriptions.tell("west", "1") == "1"
    assert subscriptions.tell("west", "1") is None
    assert subscriptions.tell("west", "2") == "2"


def test_what_is_gone_is_taken_away_once() -> None:
    subscriptions = newly_connected()
    subscriptions.tell("west", "1")

    assert subscriptions.wanted(()) == ["west"]
    assert subscriptions.tell("west", NONE) == NONE
    assert subscriptions.tell("west", NONE) is None


def test_what_never_was_is_not_taken_away() -> None:
    assert newly_connected().tell("west", NONE) is None


def test_a_returning_envoy_is_told_what_it_lacks_and_what_is_gone() -> None:
    subscriptions = newly_connected(west="1", south="1")

    assert subscriptions.wanted({"west", "east"}) == ["east", "south", "west"]
    assert subscriptions.tell("west", "1") is None
    assert subscriptions.tell("east", "1") == "1"
    assert subscriptions.tell("south", NONE) == NONE


def test_that_there_is_nothing_is_an_answer_owed_once() -> None:
    subscriptions = newly_connected()

    assert subscriptions.owe_an_answer()
    assert not subscriptions.owe_an_answer()
    subscriptions.receive(DeltaDiscoveryRequest(response_nonce=nonce("", NONE)))
    assert not subscriptions.owe_an_answer()


def test_who_asks_by_name_is_owed_no_answer_about_all() -> None:
    subscriptions = Subscriptions()
    subscriptions.receive(DeltaDiscoveryRequest(resource_names_subscribe=["west"]))

    assert not subscriptions.owe_an_answer()
    assert subscriptions.wanted({"west", "east"}) == ["west"]
