output "name" {
  description = "The cluster's name."
  value       = aws_eks_cluster.this.name
}

output "endpoint" {
  description = "An https URL, which resolves to addresses in the VPC."
  value       = aws_eks_cluster.this.endpoint
}

output "ca" {
  description = "PEM: who signs the endpoint's certificate."
  value       = base64decode(aws_eks_cluster.this.certificate_authority[0].data)
}

output "security_group" {
  description = "The security group of its nodes and its endpoint."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "autoscaling_groups" {
  description = "By zone: the autoscaling group of its nodes."
  value       = { for zone, group in aws_eks_node_group.this : zone => group.resources[0].autoscaling_groups[0].name }
}

output "identity_provider" {
  description = "What a role must trust to be a service account's: the provider's ARN and its issuer."
  value       = { arn = aws_iam_openid_connect_provider.this.arn, issuer = local.issuer }
}
