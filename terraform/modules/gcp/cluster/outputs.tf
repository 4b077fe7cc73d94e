locals {
  address = google_container_cluster.this.private_cluster_config[0].private_endpoint
  name    = google_container_cluster.this.control_plane_endpoints_config[0].dns_endpoint_config[0].endpoint
}

output "name" {
  description = "The cluster's name."
  value       = google_container_cluster.this.name
}

output "endpoint" {
  description = "An https URL."
  value       = "https://${var.dns_endpoint ? local.name : local.address}"
}

output "ca" {
  description = "PEM: who signs the endpoint's certificate. Empty: a public authority, as the name at Google has."
  value       = var.dns_endpoint ? "" : base64decode(google_container_cluster.this.master_auth[0].cluster_ca_certificate)
}

output "instance_groups" {
  description = "One per zone: the instance group of its nodes."
  value       = google_container_node_pool.this.instance_group_urls
}

output "node_tag" {
  description = "The network tag of its nodes."
  value       = var.name
}
