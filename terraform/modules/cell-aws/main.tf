locals {
  name      = "cell-${var.uid}"
  partition = split(":", var.acts_as)[1]

  # Last, so that nobody's labels replace what the sweep looks for.
  tags = merge(var.labels, {
    "controlplane-cell" = var.cell
    "controlplane-uid"  = var.uid
    "managed-by"        = "controlplane"
  })

  # The first that is enough. Estimates from Temporal's published sizing, to be measured.
  sizes = [
    {
      actions_per_second = 1000
      node               = "m7i.2xlarge"
      nodes_per_zone     = 1
      database           = "db.m7g.2xlarge"
      database_gib       = 200
      search             = "r7g.large.search"
      search_gib         = 100
    },
    {
      actions_per_second = 5000
      node               = "m7i.4xlarge"
      nodes_per_zone     = 2
      database           = "db.r7g.4xlarge"
      database_gib       = 500
      search             = "r7g.xlarge.search"
      search_gib         = 300
    },
    {
      actions_per_second = 20000
      node               = "m7i.8xlarge"
      nodes_per_zone     = 3
      database           = "db.r7g.12xlarge"
      database_gib       = 1000
      search             = "r7g.4xlarge.search"
      search_gib         = 1000
    },
  ]
  size = [for size in local.sizes : size if size.actions_per_second >= var.actions_per_second][0]
}

module "network" {
  source = "../aws/network"

  name               = local.name
  region             = var.region
  network            = var.network
  transit_gateway    = var.transit_gateway == "" ? null : { id = var.transit_gateway }
  routed_networks    = distinct(concat(var.control_plane_networks, var.fleet_networks))
  key                = aws_kms_key.cell.arn
  log_retention_days = var.log_retention_days
  tags               = local.tags
}

module "cluster" {
  source = "../aws/cluster"

  name                = local.name
  region              = var.region
  kubernetes_version  = var.kubernetes_version
  subnets             = module.network.node_subnets
  client_networks     = var.control_plane_networks
  administrators      = { control-plane = var.acts_as }
  instance_type       = local.size.node
  nodes_per_zone      = local.size.nodes_per_zone
  key                 = aws_kms_key.cell.arn
  deletion_protection = var.deletion_protection
  log_retention_days  = var.log_retention_days
  tags                = local.tags

  # Without it the instances could not start: their volumes are encrypted with the cell's key.
  depends_on = [aws_kms_grant.autoscaling]
}

module "database" {
  source = "../aws/database"

  name                = local.name
  region              = var.region
  vpc                 = module.network.vpc
  subnets             = values(module.network.data_subnets)
  client_groups       = { nodes = module.cluster.security_group }
  client_networks     = var.control_plane_networks
  instance_class      = local.size.database
  storage_gib         = local.size.database_gib
  key                 = aws_kms_key.cell.arn
  deletion_protection = var.deletion_protection
  log_retention_days  = var.log_retention_days
  tags                = local.tags

  # The cell is empty when it goes: what lived there lives elsewhere.
  final_snapshot = false
}
