locals {
  zones = slice(sort(data.google_compute_zones.here.names), 0, 3)

  # Of the /16: the upper half for pods, which need addresses by the thousand; a /20 each for nodes
  # and Services; small ranges for what stands between. The rest stays free.
  ranges = {
    nodes     = cidrsubnet(var.network, 4, 0)
    services  = cidrsubnet(var.network, 4, 1)
    proxies   = cidrsubnet(var.network, 7, 16)
    consumers = cidrsubnet(var.network, 8, 34)
    endpoints = cidrsubnet(var.network, 8, 35)
    pods      = cidrsubnet(var.network, 1, 1)
  }
}

data "google_compute_zones" "here" {
  project = var.project
  region  = var.region
  status  = "UP"

  lifecycle {
    postcondition {
      condition     = length(self.names) >= 3
      error_message = "${var.region} has fewer than three zones: choose another region."
    }
  }
}

resource "google_compute_network" "this" {
  project                 = var.project
  name                    = var.name
  auto_create_subnetworks = false
  routing_mode            = "GLOBAL"
}

resource "google_compute_subnetwork" "nodes" {
  project                  = var.project
  region                   = var.region
  name                     = "${var.name}-nodes"
  network                  = google_compute_network.this.id
  ip_cidr_range            = local.ranges.nodes
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = local.ranges.pods
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = local.ranges.services
  }

  log_config {
    aggregation_interval = "INTERVAL_1_MIN"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Nothing comes in but by a rule that says so; what is turned away is logged.
resource "google_compute_firewall" "closed" {
  project       = var.project
  name          = "${var.name}-closed"
  network       = google_compute_network.this.id
  description   = "Everything that no other rule lets in"
  direction     = "INGRESS"
  priority      = 65534
  source_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

# Addresses of what is elsewhere and reached as if it were here, such as Cloud SQL.
resource "google_compute_subnetwork" "endpoints" {
  project                  = var.project
  region                   = var.region
  name                     = "${var.name}-endpoints"
  network                  = google_compute_network.this.id
  ip_cidr_range            = local.ranges.endpoints
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_1_MIN"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Where the proxies of internal load balancers are.
resource "google_compute_subnetwork" "proxies" {
  #checkov:skip=CKV_GCP_26:A subnet of proxies cannot have flow logs; the nodes' show what they send.
  #checkov:skip=CKV_GCP_74:No instance is in it.
  #checkov:skip=CKV_GCP_76:No instance is in it, and the network has no IPv6.
  project       = var.project
  region        = var.region
  name          = "${var.name}-proxies"
  network       = google_compute_network.this.id
  ip_cidr_range = local.ranges.proxies
  purpose       = "REGIONAL_MANAGED_PROXY"
  role          = "ACTIVE"
}

# From where consumers of Private Service Connect seem to come.
resource "google_compute_subnetwork" "consumers" {
  #checkov:skip=CKV_GCP_26:A subnet of Private Service Connect cannot have flow logs.
  #checkov:skip=CKV_GCP_74:No instance is in it.
  #checkov:skip=CKV_GCP_76:No instance is in it, and the network has no IPv6.
  project       = var.project
  region        = var.region
  name          = "${var.name}-consumers"
  network       = google_compute_network.this.id
  ip_cidr_range = local.ranges.consumers
  purpose       = "PRIVATE_SERVICE_CONNECT"
}

# The way out, for images and for what the services call; there is none in.
resource "google_compute_router" "this" {
  project = var.project
  region  = var.region
  name    = var.name
  network = google_compute_network.this.id
}

resource "google_compute_router_nat" "this" {
  project                             = var.project
  region                              = var.region
  name                                = var.name
  router                              = google_compute_router.this.name
  nat_ip_allocate_option              = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat  = "LIST_OF_SUBNETWORKS"
  enable_dynamic_port_allocation      = true
  enable_endpoint_independent_mapping = false
  min_ports_per_vm                    = 256
  max_ports_per_vm                    = 8192

  subnetwork {
    name                    = google_compute_subnetwork.nodes.id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

resource "google_network_connectivity_spoke" "this" {
  count = var.hub == null ? 0 : 1

  project  = var.project
  location = "global"
  name     = var.name
  hub      = var.hub.id
  labels   = var.labels

  linked_vpc_network {
    uri = google_compute_network.this.self_link
  }
}
