locals {
  partition = data.aws_partition.current.partition
  tags      = merge(var.tags, { "managed-by" = "controlplane" })

  # Roles are named before they are made, so that those who trust each other can be made in any order.
  control_plane_role = "arn:${local.partition}:iam::${var.account}:role/${var.name}"
  organization_role  = "arn:${local.partition}:iam::${var.management_account}:role/${var.name}-organization"
}

data "aws_partition" "current" {}

module "network" {
  source = "../aws/network"

  name               = var.name
  region             = var.region
  network            = var.network
  transit_gateway    = { id = aws_ec2_transit_gateway.cells.id }
  routed_networks    = concat([var.cell_networks], var.operator_networks)
  key                = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
  tags               = local.tags
}

module "cluster" {
  source = "../aws/cluster"

  name                = var.name
  region              = var.region
  kubernetes_version  = var.kubernetes_version
  subnets             = module.network.node_subnets
  client_networks     = var.operator_networks
  administrators      = var.administrators
  instance_type       = var.instance_type
  nodes_per_zone      = 1
  key                 = aws_kms_key.this.arn
  deletion_protection = var.deletion_protection
  log_retention_days  = var.log_retention_days
  tags                = local.tags

  # Without it the instances could not start: their volumes are encrypted with the key.
  depends_on = [aws_kms_grant.autoscaling]
}

# The control plane's own rows, and those of its engine.
module "database" {
  source = "../aws/database"

  name                = var.name
  region              = var.region
  vpc                 = module.network.vpc
  subnets             = values(module.network.data_subnets)
  client_groups       = { nodes = module.cluster.security_group }
  instance_class      = var.instance_class
  storage_gib         = 100
  key                 = aws_kms_key.this.arn
  final_snapshot      = true
  deletion_protection = var.deletion_protection
  log_retention_days  = var.log_retention_days
  tags                = local.tags
}
