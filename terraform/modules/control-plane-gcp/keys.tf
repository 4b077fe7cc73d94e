resource "google_kms_key_ring" "this" {
  project  = var.project
  location = var.region
  name     = var.name
}

# Of disks, databases, and Terraform's state of the cells.
resource "google_kms_crypto_key" "this" {
  name            = var.name
  key_ring        = google_kms_key_ring.this.id
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = "7776000s"
  labels          = local.labels

  lifecycle {
    prevent_destroy = true
  }
}

# Secrets that are kept in several regions need a key that is in none.
resource "google_kms_key_ring" "secrets" {
  project  = var.project
  location = "global"
  name     = var.name
}

resource "google_kms_crypto_key" "secrets" {
  name            = "${var.name}-secrets"
  key_ring        = google_kms_key_ring.secrets.id
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = "7776000s"
  labels          = local.labels

  lifecycle {
    prevent_destroy = true
  }
}

# Google's own agents in the project, each for what it keeps.
resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = toset([
    "compute-system",
    "container-engine-robot",
    "gcp-sa-cloud-sql",
    "gcp-sa-secretmanager",
    "gs-project-accounts",
  ])

  crypto_key_id = google_kms_crypto_key.this.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:service-${data.google_project.this.number}@${each.value}.iam.gserviceaccount.com"
}

resource "google_kms_crypto_key_iam_member" "secrets" {
  crypto_key_id = google_kms_crypto_key.secrets.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
}
