mock_provider "google" {
  mock_data "google_compute_zones" {
    defaults = { names = ["us-east4-a", "us-east4-b", "us-east4-c"] }
  }

  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }

  mock_resource "google_container_cluster" {
    defaults = {
      private_cluster_config         = { private_endpoint = "10.8.0.2" }
      control_plane_endpoints_config = { dns_endpoint_config = { endpoint = "gke-one.us-east4.gke.goog" } }
      master_auth                    = { cluster_ca_certificate = "LS0tLS1CRUdJTg==" }
    }
  }

  mock_resource "google_container_node_pool" {
    defaults = { instance_group_urls = ["group-a", "group-b", "group-c"] }
  }

  mock_resource "google_service_account" {
    defaults = {
      name   = "projects/cell-k7m2p9qx/serviceAccounts/one@cell-k7m2p9qx.iam.gserviceaccount.com"
      email  = "one@cell-k7m2p9qx.iam.gserviceaccount.com"
      member = "serviceAccount:one@cell-k7m2p9qx.iam.gserviceaccount.com"
    }
  }

  mock_resource "google_sql_database_instance" {
    defaults = { server_ca_cert = [{ cert = "-----BEGIN CERTIFICATE-----" }] }
  }

  mock_resource "google_compute_address" {
    defaults = { address = "10.8.35.2" }
  }

  mock_resource "google_secret_manager_secret" {
    defaults = { id = "projects/cell-k7m2p9qx/secrets/cell-k7m2p9qx-database" }
  }

  mock_resource "google_kms_crypto_key" {
    defaults = { id = "projects/cell-k7m2p9qx/locations/us-east4/keyRings/cell-k7m2p9qx/cryptoKeys/cell" }
  }

  mock_resource "google_compute_service_attachment" {
    defaults = { id = "projects/cell-k7m2p9qx/regions/us-east4/serviceAttachments/cell-k7m2p9qx-ingress" }
  }

  mock_resource "google_compute_forwarding_rule" {
    defaults = { ip_address = "10.8.0.9" }
  }
}

variables {
  cell    = "cell-g"
  uid     = "k7m2p9qx"
  account = "cell-k7m2p9qx"
  acts_as = "controlplane@cell-k7m2p9qx.iam.gserviceaccount.com"
  region  = "us-east4"
  network = "10.8.0.0/16"
}

run "opens_nothing_by_itself" {
  command = plan

  assert {
    condition = (
      google_compute_forwarding_rule.ingress.load_balancing_scheme == "INTERNAL_MANAGED"
      && google_compute_service_attachment.ingress.connection_preference == "ACCEPT_MANUAL"
      && length(google_compute_service_attachment.ingress.consumer_accept_lists) == 0
    )
    error_message = "the load balancer is internal, and nobody may connect to the service attachment"
  }

  assert {
    condition     = length(google_dns_managed_zone.cell) == 0 && length(google_dns_record_set.delegation) == 0
    error_message = "a cell that is given no zone has none"
  }
}

run "lets_proxies_and_health_checks_at_the_ingress_and_nobody_else" {
  command = plan

  assert {
    condition = (
      google_compute_firewall.ingress.source_ranges == toset(["10.8.32.0/23", "35.191.0.0/16", "130.211.0.0/22"])
      && alltrue([for rule in google_compute_firewall.ingress.allow : rule.ports == tolist(["30443"])])
    )
    error_message = "one port, for the load balancer"
  }
}

run "is_as_large_as_it_was_asked_to_be" {
  command = plan

  variables {
    actions_per_second = 1001
  }

  assert {
    condition     = local.size.actions_per_second == 5000
    error_message = "the first size that is enough"
  }
}

run "lets_googles_agents_use_the_key_and_nobody_else" {
  command = plan

  assert {
    condition = toset([for grant in google_kms_crypto_key_iam_member.agents : grant.member]) == toset([
      "serviceAccount:service-123456789012@compute-system.iam.gserviceaccount.com",
      "serviceAccount:service-123456789012@container-engine-robot.iam.gserviceaccount.com",
      "serviceAccount:service-123456789012@gcp-sa-cloud-sql.iam.gserviceaccount.com",
      "serviceAccount:service-123456789012@gcp-sa-secretmanager.iam.gserviceaccount.com",
    ])
    error_message = "those that keep something for the cell"
  }
}

run "keeps_the_labels_that_the_sweep_looks_for" {
  command = plan

  variables {
    labels = { team = "storage", controlplane-uid = "another" }
  }

  assert {
    condition = google_kms_crypto_key.cell.labels == tomap({
      team              = "storage"
      controlplane-cell = "cell-g"
      controlplane-uid  = "k7m2p9qx"
      managed-by        = "controlplane"
    })
    error_message = "labels are added, and replace none of them"
  }
}

run "fulfils_the_contract_of_cells" {
  command = apply

  variables {
    control_plane_networks = ["10.0.0.0/16"]
    hub                    = "projects/control-plane-1/locations/global/hubs/controlplane"
    dns_zone               = "cell-g.cells.example.com"
    dns_parent_zone        = "fleet"
    dns_parent_project     = "control-plane-1"
    endpoint_consumers     = ["tenant-1"]
  }

  assert {
    condition = (
      output.cluster_name == "cell-k7m2p9qx"
      && output.cluster_endpoint == "https://10.8.0.2"
      && output.cluster_ca == "-----BEGIN"
      && output.database == "10.8.35.2:5432"
      && output.database_secret == "projects/cell-k7m2p9qx/secrets/cell-k7m2p9qx-database"
      && output.database_ca == "-----BEGIN CERTIFICATE-----"
      && output.search == ""
      && output.key == "projects/cell-k7m2p9qx/locations/us-east4/keyRings/cell-k7m2p9qx/cryptoKeys/cell"
      && output.endpoint_service == "projects/cell-k7m2p9qx/regions/us-east4/serviceAttachments/cell-k7m2p9qx-ingress"
      && output.region == "us-east4"
    )
    error_message = "an output is not what the control plane reads"
  }

  assert {
    condition     = output.identities == { schema = google_service_account.temporal.email, temporal = google_service_account.temporal.email }
    error_message = "identities are by service account"
  }

  assert {
    condition = toset([for grant in google_service_account_iam_member.temporal : grant.member]) == toset([
      "serviceAccount:cell-k7m2p9qx.svc.id.goog[cell-g/schema]",
      "serviceAccount:cell-k7m2p9qx.svc.id.goog[cell-g/temporal]",
    ])
    error_message = "only these service accounts, in the cell's namespace, have the identity"
  }

  assert {
    condition     = google_dns_record_set.delegation["cell-g.cells.example.com"].project == "control-plane-1"
    error_message = "the zone above delegates the cell's"
  }
}

run "refuses_what_would_open_it_to_everybody" {
  command = plan

  variables {
    control_plane_networks = ["0.0.0.0/0"]
  }

  expect_failures = [var.control_plane_networks]
}

run "refuses_names_that_are_none" {
  command = plan

  variables {
    cell    = "Cell_G"
    uid     = "7"
    account = "Prod"
    acts_as = "serviceAccount:controlplane@one.iam.gserviceaccount.com"
    network = "10.8.0.0/15"
  }

  expect_failures = [var.cell, var.uid, var.account, var.acts_as, var.network]
}

run "refuses_a_parent_zone_without_its_project" {
  command = plan

  variables {
    dns_zone        = "cell-g.cells.example.com"
    dns_parent_zone = "fleet"
  }

  expect_failures = [var.dns_parent_project]
}
