mock_provider "google" {
  mock_data "google_compute_zones" {
    defaults = { names = ["us-east4-c", "us-east4-a", "us-east4-b"] }
  }
}

variables {
  name    = "cell-k7m2p9qx"
  project = "cell-k7m2p9qx"
  region  = "us-east4"
  network = "10.8.0.0/16"
  labels  = { controlplane-uid = "k7m2p9qx" }
}

run "spans_three_zones_and_divides_the_network" {
  command = plan

  assert {
    condition     = output.zones == tolist(["us-east4-a", "us-east4-b", "us-east4-c"])
    error_message = "the zones are in the order of their names"
  }

  assert {
    condition = local.ranges == {
      nodes     = "10.8.0.0/20"
      services  = "10.8.16.0/20"
      proxies   = "10.8.32.0/23"
      consumers = "10.8.34.0/24"
      endpoints = "10.8.35.0/24"
      pods      = "10.8.128.0/17"
    }
    error_message = "ranges are where they always were: moving one would replace what is in it"
  }
}

run "lets_nothing_in_and_records_what_passes" {
  command = plan

  assert {
    condition     = length(google_compute_firewall.closed.deny) == 1 && length(google_compute_firewall.closed.allow) == 0
    error_message = "what no rule lets in is turned away"
  }

  assert {
    condition     = length(google_compute_subnetwork.nodes.log_config) == 1 && google_compute_subnetwork.nodes.private_ip_google_access
    error_message = "flow logs tell of the nodes, which reach Google without the internet"
  }
}

run "joins_the_hub_that_is_given" {
  command = plan

  variables {
    hub = { id = "projects/control-plane-1/locations/global/hubs/controlplane" }
  }

  assert {
    condition     = one(google_network_connectivity_spoke.this[*].hub) == var.hub.id
    error_message = "the network is a spoke of the hub"
  }
}

run "refuses_a_region_of_two_zones" {
  command = plan

  override_data {
    target = data.google_compute_zones.here
    values = { names = ["us-east4-a", "us-east4-b"] }
  }

  expect_failures = [data.google_compute_zones.here]
}

run "refuses_a_network_of_another_size" {
  command = plan

  variables {
    network = "10.8.0.0/20"
  }

  expect_failures = [var.network]
}
