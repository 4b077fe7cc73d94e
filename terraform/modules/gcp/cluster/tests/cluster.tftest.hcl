mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      email  = "one@cell-k7m2p9qx.iam.gserviceaccount.com"
      member = "serviceAccount:one@cell-k7m2p9qx.iam.gserviceaccount.com"
    }
  }
}

variables {
  name                = "cell-k7m2p9qx"
  project             = "cell-k7m2p9qx"
  region              = "us-east4"
  zones               = ["us-east4-a", "us-east4-b", "us-east4-c"]
  network             = "projects/cell-k7m2p9qx/global/networks/cell-k7m2p9qx"
  subnet              = "projects/cell-k7m2p9qx/regions/us-east4/subnetworks/cell-k7m2p9qx-nodes"
  kubernetes_version  = "1.35"
  client_networks     = ["10.0.0.0/16"]
  dns_endpoint        = false
  machine_type        = "n4-standard-8"
  nodes_per_zone      = 1
  key                 = "projects/cell-k7m2p9qx/locations/us-east4/keyRings/one/cryptoKeys/cell"
  deletion_protection = true
  labels              = { controlplane-uid = "k7m2p9qx" }
}

run "is_reached_from_within_only" {
  command = plan

  assert {
    condition = (
      google_container_cluster.this.private_cluster_config[0].enable_private_nodes
      && google_container_cluster.this.private_cluster_config[0].enable_private_endpoint
      && !google_container_cluster.this.control_plane_endpoints_config[0].dns_endpoint_config[0].allow_external_traffic
    )
    error_message = "neither nodes nor endpoint are on the internet"
  }

  assert {
    condition = (
      [for block in google_container_cluster.this.master_authorized_networks_config[0].cidr_blocks : block.cidr_block] == ["10.0.0.0/16"]
      && !google_container_cluster.this.master_authorized_networks_config[0].gcp_public_cidrs_access_enabled
    )
    error_message = "its endpoint is for the networks that are given, and no others"
  }
}

run "encrypts_secrets_and_disks" {
  command = plan

  assert {
    condition = (
      google_container_cluster.this.database_encryption[0].state == "ENCRYPTED"
      && google_container_cluster.this.database_encryption[0].key_name == var.key
      && google_container_node_pool.this.node_config[0].boot_disk_kms_key == var.key
    )
    error_message = "Secrets and disks are encrypted with the key"
  }
}

run "keeps_the_identity_of_nodes_from_pods" {
  command = plan

  assert {
    condition = (
      google_container_node_pool.this.node_config[0].workload_metadata_config[0].mode == "GKE_METADATA"
      && google_container_cluster.this.workload_identity_config[0].workload_pool == "cell-k7m2p9qx.svc.id.goog"
    )
    error_message = "pods have identities of their own"
  }

  assert {
    condition     = keys(google_project_iam_member.nodes) == ["roles/artifactregistry.reader", "roles/container.defaultNodeServiceAccount"]
    error_message = "nodes log, measure and pull images, and that is all"
  }
}

run "enforces_network_policies" {
  command = plan

  assert {
    condition     = google_container_cluster.this.datapath_provider == "ADVANCED_DATAPATH"
    error_message = "without it NetworkPolicies are accepted and ignored"
  }
}

run "is_reached_by_its_name_at_google_when_asked_to" {
  command = apply

  variables {
    dns_endpoint = true
  }

  override_resource {
    target = google_container_cluster.this
    values = {
      private_cluster_config         = { private_endpoint = "10.8.0.2" }
      control_plane_endpoints_config = { dns_endpoint_config = { endpoint = "gke-one.us-east4.gke.goog" } }
    }
  }

  assert {
    condition     = output.endpoint == "https://gke-one.us-east4.gke.goog" && output.ca == ""
    error_message = "the name has a certificate of a public authority"
  }
}
