locals {
  labels = merge(var.labels, { "managed-by" = "controlplane" })
}

data "google_project" "this" {
  project_id = var.project
}

module "network" {
  source = "../gcp/network"

  name    = var.name
  project = var.project
  region  = var.region
  network = var.network
  hub     = { id = google_network_connectivity_hub.cells.id }
  labels  = local.labels
}

# The way to the cells: what each of them is, and the databases behind their endpoints.
resource "google_network_connectivity_hub" "cells" {
  project     = var.project
  name        = var.name
  description = "The control plane and its cells"
  export_psc  = true
  labels      = local.labels
}

module "cluster" {
  source = "../gcp/cluster"

  name                = var.name
  project             = var.project
  region              = var.region
  zones               = module.network.zones
  network             = module.network.network
  subnet              = module.network.subnets.nodes
  kubernetes_version  = var.kubernetes_version
  client_networks     = var.operator_networks
  dns_endpoint        = false
  machine_type        = var.machine_type
  nodes_per_zone      = 1
  key                 = google_kms_crypto_key.this.id
  deletion_protection = var.deletion_protection
  labels              = local.labels

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

# The control plane's own rows, and those of its engine.
module "database" {
  source = "../gcp/database"

  name                = var.name
  project             = var.project
  region              = var.region
  network             = module.network.network
  subnet              = module.network.subnets.endpoints
  tier                = var.tier
  storage_gib         = 100
  key                 = google_kms_crypto_key.this.id
  final_backup        = true
  deletion_protection = var.deletion_protection
  labels              = local.labels

  depends_on = [google_kms_crypto_key_iam_member.agents]
}
