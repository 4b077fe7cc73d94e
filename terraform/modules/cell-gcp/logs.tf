# Where GKE, Cloud SQL and the network write to, as every project has it.
resource "google_logging_project_bucket_config" "default" {
  project        = var.account
  location       = "global"
  bucket_id      = "_Default"
  retention_days = var.log_retention_days
}

# Who read what the cell keeps secret: Google tells of changes only, unless it is asked.
resource "google_project_iam_audit_config" "secrets" {
  for_each = toset(["cloudkms.googleapis.com", "cloudsql.googleapis.com", "secretmanager.googleapis.com"])

  project = var.account
  service = each.value

  audit_log_config {
    log_type = "DATA_READ"
  }

  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
