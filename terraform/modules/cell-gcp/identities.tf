# What pods are to Google, by service account. Everything of the cell is in the cluster's namespace
# of the cell's name. Temporal asks Google nothing: its identity has no rights, so that what it may
# be allowed one day is granted to it and not to the nodes.
locals {
  accounts = toset(["schema", "temporal"])

  identities = { for account in local.accounts : account => google_service_account.temporal.email }
}

resource "google_service_account" "temporal" {
  project      = var.account
  account_id   = "${local.name}-temporal"
  display_name = "Temporal in the cell ${var.cell}"
}

resource "google_service_account_iam_member" "temporal" {
  for_each = local.accounts

  service_account_id = google_service_account.temporal.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.account}.svc.id.goog[${var.cell}/${each.value}]"

  # The pool of identities is there once the cluster is.
  depends_on = [module.cluster]
}
