resource "google_container_cluster" "this" {
  #checkov:skip=CKV_GCP_65:Who may do what is said by IAM; groups of people have no business here.
  #checkov:skip=CKV_GCP_66:Images are pinned by digest by what rolls them out; attestations need a policy of the organisation.
  #checkov:skip=CKV_GCP_12:Dataplane V2 enforces NetworkPolicies; the older add-on cannot be used beside it.
  #checkov:skip=CKV_GCP_69:The default pool, of which this is the configuration, is removed at once.
  #checkov:skip=CKV_GCP_68:The default pool, of which this is the configuration, is removed at once.
  project             = var.project
  name                = var.name
  location            = var.region
  node_locations      = var.zones
  min_master_version  = var.kubernetes_version
  deletion_protection = var.deletion_protection
  resource_labels     = var.labels

  network                     = var.network
  subnetwork                  = var.subnet
  networking_mode             = "VPC_NATIVE"
  datapath_provider           = "ADVANCED_DATAPATH"
  enable_intranode_visibility = true
  enable_l4_ilb_subsetting    = true
  enable_shielded_nodes       = true

  # Nodes are in a pool of their own, which can be replaced without the cluster.
  remove_default_node_pool = true
  initial_node_count       = 1

  node_config {
    service_account   = google_service_account.nodes.email
    boot_disk_kms_key = var.key
  }

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = true

    master_global_access_config {
      enabled = true
    }
  }

  master_authorized_networks_config {
    gcp_public_cidrs_access_enabled      = false
    private_endpoint_enforcement_enabled = true

    dynamic "cidr_blocks" {
      for_each = toset(var.client_networks)

      content {
        cidr_block   = cidr_blocks.value
        display_name = "control plane"
      }
    }
  }

  control_plane_endpoints_config {
    dns_endpoint_config {
      allow_external_traffic = var.dns_endpoint
    }
  }

  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }

  database_encryption {
    state    = "ENCRYPTED"
    key_name = var.key
  }

  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  logging_config {
    enable_components = [
      "APISERVER",
      "CONTROLLER_MANAGER",
      "SCHEDULER",
      "SYSTEM_COMPONENTS",
      "WORKLOADS",
    ]
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]

    managed_prometheus {
      enabled = true
    }
  }

  release_channel {
    channel = "REGULAR"
  }

  # Google upgrades within the minor version at night on weekends; minor versions are ours to raise.
  maintenance_policy {
    recurring_window {
      start_time = "2026-01-03T03:00:00Z"
      end_time   = "2026-01-03T09:00:00Z"
      recurrence = "FREQ=WEEKLY;BYDAY=SA,SU"
    }

    maintenance_exclusion {
      exclusion_name = "minor-versions"
      start_time     = "2026-01-01T00:00:00Z"

      exclusion_options {
        scope             = "NO_MINOR_UPGRADES"
        end_time_behavior = "UNTIL_END_OF_SUPPORT"
      }
    }
  }

  lifecycle {
    # Of the pool that is gone, and of what Google has raised since.
    ignore_changes = [initial_node_count, node_config]
  }
}

resource "google_container_node_pool" "this" {
  project        = var.project
  name           = var.name
  cluster        = google_container_cluster.this.id
  location       = var.region
  node_locations = var.zones
  node_count     = var.nodes_per_zone

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  # A new node first, then one is drained: pods have somewhere to go.
  upgrade_settings {
    strategy        = "SURGE"
    max_surge       = 1
    max_unavailable = 0
  }

  node_config {
    machine_type      = var.machine_type
    image_type        = "COS_CONTAINERD"
    disk_type         = "pd-balanced"
    disk_size_gb      = 100
    boot_disk_kms_key = var.key
    service_account   = google_service_account.nodes.email
    oauth_scopes      = ["https://www.googleapis.com/auth/cloud-platform"]
    tags              = [var.name]
    resource_labels   = var.labels

    metadata = {
      disable-legacy-endpoints = "true"
    }

    # Pods do not get at the node's identity. They have their own.
    workload_metadata_config {
      mode = "GKE_METADATA"
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
  }

  depends_on = [google_project_iam_member.nodes]
}

resource "google_service_account" "nodes" {
  project      = var.project
  account_id   = "${var.name}-nodes"
  display_name = "Nodes of ${var.name}"
}

# To write logs and metrics, and to pull images.
resource "google_project_iam_member" "nodes" {
  for_each = toset(["roles/artifactregistry.reader", "roles/container.defaultNodeServiceAccount"])

  project = var.project
  role    = each.value
  member  = google_service_account.nodes.member
}
