locals {
  # Custom roles, by what is granted on what: permissions are those that the control plane uses.
  roles = {
    for file in fileset("${path.module}/policies", "*.json") :
    trimsuffix(file, ".json") => jsondecode(file("${path.module}/policies/${file}"))
  }

  # The ids of custom roles have no hyphens.
  role_prefix = replace(var.name, "-", "_")
}

# Whom the pods of the control plane are.
resource "google_service_account" "this" {
  project      = var.project
  account_id   = var.name
  display_name = "The control plane"
}

resource "google_service_account_iam_member" "this" {
  service_account_id = google_service_account.this.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${var.service_account}]"

  # The pool of identities is there once the cluster is.
  depends_on = [module.cluster]
}

resource "google_organization_iam_custom_role" "this" {
  for_each = local.roles

  org_id      = var.organization
  role_id     = "${local.role_prefix}_${each.key}"
  title       = "${var.name}: ${each.value.title}"
  description = each.value.description
  permissions = each.value.permissions
}

# In the folder: cells' projects are made, found, given away and deleted.
resource "google_folder_iam_member" "cells" {
  folder = var.folder
  role   = google_organization_iam_custom_role.this["folder"].id
  member = google_service_account.this.member
}

resource "google_billing_account_iam_member" "this" {
  billing_account_id = var.billing_account
  role               = google_organization_iam_custom_role.this["billing"].id
  member             = google_service_account.this.member
}

resource "google_storage_bucket_iam_member" "state" {
  bucket = google_storage_bucket.state.name
  role   = google_organization_iam_custom_role.this["state"].id
  member = google_service_account.this.member
}

# In its own project: looking at regions, and its secrets, which begin with its name.
resource "google_project_iam_member" "own" {
  project = var.project
  role    = google_organization_iam_custom_role.this["own"].id
  member  = google_service_account.this.member
}

resource "google_project_iam_member" "secrets" {
  project = var.project
  role    = google_organization_iam_custom_role.this["secrets"].id
  member  = google_service_account.this.member

  condition {
    title      = "its own secrets"
    expression = "resource.name.startsWith(\"projects/${data.google_project.this.number}/secrets/${var.name}__\")"
  }
}

resource "google_dns_managed_zone_iam_member" "names" {
  project      = var.project
  managed_zone = var.managed_zone
  role         = google_organization_iam_custom_role.this["names"].id
  member       = google_service_account.this.member
}
