# Where Terraform keeps what it has made for each cell. The backend locks with an object of its own.
# Each cell's own account gets at its cell's folder and no other: the control plane grants that.
resource "google_storage_bucket" "state" {
  #checkov:skip=CKV_GCP_62:Who read what is in the audit logs below; a second bucket would have to be guarded, too.
  project                     = var.project
  name                        = "${var.name}-state-${data.google_project.this.number}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = local.labels

  encryption {
    default_kms_key_name = google_kms_crypto_key.this.id
  }

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = 2592000
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      days_since_noncurrent_time = 365
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle {
    # Without it nobody knows what there is of any cell.
    prevent_destroy = true
  }

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

resource "google_project_iam_audit_config" "this" {
  for_each = toset([
    "cloudkms.googleapis.com",
    "iamcredentials.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ])

  project = var.project
  service = each.value

  audit_log_config {
    log_type = "DATA_READ"
  }

  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
