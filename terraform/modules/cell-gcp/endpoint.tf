locals {
  # The node port of the ingress. What leads to it stays when Services in the cluster come and go,
  # which a service attachment needs: its load balancer cannot be replaced under its consumers.
  ingress_node_port = 30443
}

resource "google_compute_instance_group_named_port" "ingress" {
  # One group per zone, and the zones are known before the groups are.
  count = length(module.network.zones)

  project = var.account
  group   = module.cluster.instance_groups[count.index]
  name    = "ingress"
  port    = local.ingress_node_port
}

resource "google_compute_region_backend_service" "ingress" {
  project                         = var.account
  region                          = var.region
  name                            = "${local.name}-ingress"
  load_balancing_scheme           = "INTERNAL_MANAGED"
  protocol                        = "TCP"
  port_name                       = "ingress"
  health_checks                   = [google_compute_region_health_check.ingress.id]
  connection_draining_timeout_sec = 90 # Long polls last a minute.
  timeout_sec                     = 600

  dynamic "backend" {
    for_each = range(length(module.network.zones))

    content {
      group                        = module.cluster.instance_groups[backend.value]
      balancing_mode               = "CONNECTION"
      max_connections_per_instance = 20000
    }
  }

  log_config {
    enable      = true
    sample_rate = 0.1
  }

  depends_on = [google_compute_instance_group_named_port.ingress]
}

resource "google_compute_region_health_check" "ingress" {
  project             = var.account
  region              = var.region
  name                = "${local.name}-ingress"
  check_interval_sec  = 10
  timeout_sec         = 5
  healthy_threshold   = 2
  unhealthy_threshold = 2

  tcp_health_check {
    port = local.ingress_node_port
  }

  log_config {
    enable = true
  }
}

resource "google_compute_region_target_tcp_proxy" "ingress" {
  project         = var.account
  region          = var.region
  name            = "${local.name}-ingress"
  backend_service = google_compute_region_backend_service.ingress.id
}

resource "google_compute_forwarding_rule" "ingress" {
  project               = var.account
  region                = var.region
  name                  = "${local.name}-ingress"
  load_balancing_scheme = "INTERNAL_MANAGED"
  network               = module.network.network
  subnetwork            = module.network.subnets.nodes
  ip_protocol           = "TCP"
  port_range            = "443"
  target                = google_compute_region_target_tcp_proxy.ingress.id
  allow_global_access   = true
  labels                = local.labels

  # Its proxies need somewhere to be.
  depends_on = [module.network]
}

resource "google_compute_firewall" "ingress" {
  project     = var.account
  name        = "${local.name}-ingress"
  network     = module.network.network
  description = "The ingress from the proxies of its load balancer, and from what examines them"
  direction   = "INGRESS"
  target_tags = [module.cluster.node_tag]

  # Google's health checks: "Firewall rules for health checks".
  source_ranges = [module.network.proxies.range, "35.191.0.0/16", "130.211.0.0/22"]

  allow {
    protocol = "tcp"
    ports    = [local.ingress_node_port]
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_service_attachment" "ingress" {
  project               = var.account
  region                = var.region
  name                  = "${local.name}-ingress"
  target_service        = google_compute_forwarding_rule.ingress.id
  nat_subnets           = [module.network.subnets.consumers]
  enable_proxy_protocol = false
  reconcile_connections = true

  # Whoever may connect is listed; by default, nobody.
  connection_preference = "ACCEPT_MANUAL"

  dynamic "consumer_accept_lists" {
    for_each = toset(var.endpoint_consumers)

    content {
      project_id_or_num = consumer_accept_lists.value
      connection_limit  = 10
    }
  }
}
