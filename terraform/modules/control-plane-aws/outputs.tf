output "environment" {
  description = "What the control plane is to be started with to make cells in this organisation."
  value = {
    CONTROLPLANE_AWS_CELL_ROLE              = var.cell_role
    CONTROLPLANE_AWS_CONTROL_PLANE_NETWORKS = var.network
    CONTROLPLANE_AWS_DNS_ROLE               = aws_iam_role.delegation.arn
    CONTROLPLANE_AWS_EMAIL_PATTERN          = var.email_pattern
    CONTROLPLANE_AWS_EXTERNAL_ID            = var.external_id
    CONTROLPLANE_AWS_ORGANIZATIONAL_UNIT    = aws_organizations_organizational_unit.cells.id
    CONTROLPLANE_AWS_ORGANIZATION_ROLE      = aws_iam_role.organization.arn
    CONTROLPLANE_AWS_STATE_BUCKET           = aws_s3_bucket.state.bucket
    CONTROLPLANE_AWS_STATE_KEY              = aws_kms_key.state.arn
    CONTROLPLANE_AWS_STATE_REGION           = var.region
    CONTROLPLANE_AWS_TRANSIT_GATEWAY        = aws_ec2_transit_gateway.cells.id
    CONTROLPLANE_AWS_ZONE                   = var.zone
    CONTROLPLANE_AWS_ZONE_ID                = var.zone_id
  }
}

output "role" {
  description = "ARN for the annotation eks.amazonaws.com/role-arn of the control plane's service account."
  value       = aws_iam_role.control_plane.arn
}

output "cluster_name" {
  description = "The Kubernetes cluster that the control plane runs in."
  value       = module.cluster.name
}

output "cluster_endpoint" {
  description = "The cluster's endpoint: an https URL, reached from the VPC and from operator_networks."
  value       = module.cluster.endpoint
}

output "cluster_ca" {
  description = "PEM: who signs the endpoint's certificate."
  value       = module.cluster.ca
}

output "database" {
  description = "The PostgreSQL server, host:port."
  value       = module.database.address
}

output "database_secret" {
  description = "ARN of the secret that holds the first role's name and password."
  value       = module.database.secret
}

output "database_ca" {
  description = "PEM: who signs the server's certificate."
  value       = module.database.ca
}

output "key" {
  description = "ARN of the KMS key that encrypts the control plane's secrets."
  value       = aws_kms_key.this.arn
}
