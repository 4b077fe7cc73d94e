locals {
  name = "cell-${var.uid}"

  # Last, so that nobody's labels replace what the sweep looks for.
  labels = merge(var.labels, {
    "controlplane-cell" = var.cell
    "controlplane-uid"  = var.uid
    "managed-by"        = "controlplane"
  })

  # The first that is enough. Estimates from Temporal's published sizing, to be measured.
  sizes = [
    {
      actions_per_second = 1000
      node               = "n4-standard-8"
      nodes_per_zone     = 1
      database           = "db-perf-optimized-N-8"
      database_gib       = 200
    },
    {
      actions_per_second = 5000
      node               = "n4-standard-16"
      nodes_per_zone     = 2
      database           = "db-perf-optimized-N-16"
      database_gib       = 500
    },
    {
      actions_per_second = 20000
      node               = "n4-standard-32"
      nodes_per_zone     = 3
      database           = "db-perf-optimized-N-48"
      database_gib       = 1000
    },
  ]
  size = [for size in local.sizes : size if size.actions_per_second >= var.actions_per_second][0]
}

data "google_project" "this" {
  project_id = var.account
}

module "network" {
  source = "../gcp/network"

  name    = local.name
  project = var.account
  region  = var.region
  network = var.network
  hub     = var.hub == "" ? null : { id = var.hub }
  labels  = local.labels
}

module "cluster" {
  source = "../gcp/cluster"

  name                = local.name
  project             = var.account
  region              = var.region
  zones               = module.network.zones
  network             = module.network.network
  subnet              = module.network.subnets.nodes
  kubernetes_version  = var.kubernetes_version
  client_networks     = var.control_plane_networks
  dns_endpoint        = var.dns_endpoint
  machine_type        = local.size.node
  nodes_per_zone      = local.size.nodes_per_zone
  key                 = google_kms_crypto_key.cell.id
  deletion_protection = var.deletion_protection
  labels              = local.labels

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

# Executions and their visibility both: there is no managed Elasticsearch or OpenSearch at Google.
module "database" {
  source = "../gcp/database"

  name                = local.name
  project             = var.account
  region              = var.region
  network             = module.network.network
  subnet              = module.network.subnets.endpoints
  consumer_projects   = var.control_plane_project == "" ? [] : [var.control_plane_project]
  tier                = local.size.database
  storage_gib         = local.size.database_gib
  key                 = google_kms_crypto_key.cell.id
  deletion_protection = var.deletion_protection
  labels              = local.labels

  # The cell is empty when it goes: what lived there lives elsewhere.
  final_backup = false

  depends_on = [google_kms_crypto_key_iam_member.agents]
}
