# The contract of cell modules: cell-gcp has the same.

output "cluster_name" {
  description = "The Kubernetes cluster's name."
  value       = module.cluster.name
}

output "cluster_endpoint" {
  description = "The cluster's endpoint: an https URL."
  value       = module.cluster.endpoint
}

output "cluster_ca" {
  description = "PEM: who signs the endpoint's certificate. Empty: a public authority."
  value       = module.cluster.ca
}

output "database" {
  description = "The PostgreSQL server, host:port."
  value       = module.database.address
}

output "database_secret" {
  description = "Where the cloud keeps the name and password of the server's first role."
  value       = module.database.secret
}

output "database_ca" {
  description = "PEM: who signs the server's certificate."
  value       = module.database.ca
}

output "search" {
  description = "The visibility store: an https URL. Empty where PostgreSQL is that, too."
  value       = var.opensearch ? "https://${aws_opensearch_domain.this[0].endpoint}" : ""
}

output "key" {
  description = "The key that encrypts what the cell keeps."
  value       = aws_kms_key.cell.arn
}

output "endpoint_service" {
  description = "What tenants connect to privately."
  value       = aws_vpc_endpoint_service.ingress.service_name
}

output "identities" {
  description = "By service account of the cluster: the identity that its pods have."
  value       = local.identities
}

output "region" {
  description = "The region, as the cloud calls it."
  value       = var.region
}

output "name_servers" {
  description = "Of dns_zone, for whoever delegates it."
  value       = flatten([for zone in aws_route53_zone.cell : zone.name_servers])
}
