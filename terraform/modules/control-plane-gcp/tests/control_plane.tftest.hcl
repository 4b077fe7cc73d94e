mock_provider "google" {
  mock_data "google_compute_zones" {
    defaults = { names = ["us-east4-a", "us-east4-b", "us-east4-c"] }
  }

  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }

  mock_resource "google_container_cluster" {
    defaults = { master_auth = { cluster_ca_certificate = "LS0tLS1CRUdJTg==" } }
  }

  mock_resource "google_container_node_pool" {
    defaults = { instance_group_urls = ["group-a", "group-b", "group-c"] }
  }

  mock_resource "google_service_account" {
    defaults = {
      name   = "projects/control-plane-1/serviceAccounts/controlplane@control-plane-1.iam.gserviceaccount.com"
      email  = "controlplane@control-plane-1.iam.gserviceaccount.com"
      member = "serviceAccount:controlplane@control-plane-1.iam.gserviceaccount.com"
    }
  }

  mock_resource "google_sql_database_instance" {
    defaults = { server_ca_cert = [{ cert = "-----BEGIN CERTIFICATE-----" }] }
  }
}

variables {
  project         = "control-plane-1"
  region          = "us-east4"
  network         = "10.0.0.0/16"
  organization    = "123456789012"
  folder          = "folders/123456789"
  billing_account = "012345-6789AB-CDEF01"
  cell_locations  = ["in:us-east4-locations"]
  managed_zone    = "fleet"
}

run "grants_custom_roles_each_on_what_it_is_for" {
  command = plan

  assert {
    condition = (
      google_folder_iam_member.cells.folder == "folders/123456789"
      && google_billing_account_iam_member.this.billing_account_id == "012345-6789AB-CDEF01"
      && google_dns_managed_zone_iam_member.names.managed_zone == "fleet"
    )
    error_message = "nothing is granted on the organisation"
  }

  assert {
    condition = alltrue(flatten([
      for role in google_organization_iam_custom_role.this : [for permission in role.permissions : !strcontains(permission, "*")]
    ]))
    error_message = "permissions are named one by one"
  }

  assert {
    condition     = google_project_iam_member.secrets.condition[0].expression == "resource.name.startsWith(\"projects/123456789012/secrets/controlplane__\")"
    error_message = "its own secrets, and no others of the project"
  }
}

run "guards_the_state_of_cells" {
  command = plan

  assert {
    condition = (
      google_storage_bucket.state.versioning[0].enabled
      && google_storage_bucket.state.public_access_prevention == "enforced"
      && google_storage_bucket.state.uniform_bucket_level_access
      && length(google_storage_bucket.state.encryption) == 1
    )
    error_message = "versions are kept, it is encrypted with our key, and it cannot be made public"
  }
}

run "forbids_cells_what_they_have_no_use_for" {
  command = plan

  assert {
    condition = (
      contains(keys(google_org_policy_policy.enforced), "iam.disableServiceAccountKeyCreation")
      && contains(keys(google_org_policy_policy.enforced), "sql.restrictPublicIp")
      && google_org_policy_policy.external_addresses.spec[0].rules[0].deny_all == "TRUE"
    )
    error_message = "no keys that last, no addresses on the internet"
  }
}

run "says_what_the_control_plane_is_to_be_started_with" {
  command = apply

  assert {
    condition = (
      output.environment.CONTROLPLANE_GCP_PRINCIPAL == "serviceAccount:controlplane@control-plane-1.iam.gserviceaccount.com"
      && output.environment.CONTROLPLANE_GCP_STATE_BUCKET == "controlplane-state-123456789012"
      && output.environment.CONTROLPLANE_GCP_DNS_ENDPOINT == "false"
    )
    error_message = "settings come out of what was made"
  }
}

run "refuses_a_folder_by_its_name" {
  command = plan

  variables {
    folder = "cells"
  }

  expect_failures = [var.folder]
}
