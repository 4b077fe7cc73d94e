output "network" {
  description = "The VPC's id."
  value       = google_compute_network.this.id
}

output "zones" {
  description = "The three zones."
  value       = local.zones
}

output "subnets" {
  description = "By use (nodes, endpoints, consumers): the subnet's id."
  value = {
    nodes     = google_compute_subnetwork.nodes.id
    endpoints = google_compute_subnetwork.endpoints.id
    consumers = google_compute_subnetwork.consumers.id
  }
}

output "proxies" {
  description = "The subnet of proxies: its id, which load balancers need to exist, and its range."
  value = {
    id    = google_compute_subnetwork.proxies.id
    range = local.ranges.proxies
  }
}
