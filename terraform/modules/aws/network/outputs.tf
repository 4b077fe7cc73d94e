output "vpc" {
  description = "The VPC's id."
  value       = aws_vpc.this.id
}

output "zones" {
  description = "The three zones."
  value       = local.zones
}

output "node_subnets" {
  description = "By zone: the subnet of nodes and pods."
  value       = { for zone, subnet in aws_subnet.nodes : zone => subnet.id }
}

output "data_subnets" {
  description = "By zone: the subnet of databases, which has no way out."
  value       = { for zone, subnet in aws_subnet.data : zone => subnet.id }
}
