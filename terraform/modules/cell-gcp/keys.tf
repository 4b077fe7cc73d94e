# A ring cannot be deleted, nor its name used again: the cell's uid is in it, and its project goes.
resource "google_kms_key_ring" "cell" {
  project  = var.account
  location = var.region
  name     = local.name
}

resource "google_kms_crypto_key" "cell" {
  #checkov:skip=CKV_GCP_82:It is deleted with the cell; until then nobody but the control plane may.
  name                       = "cell"
  key_ring                   = google_kms_key_ring.cell.id
  purpose                    = "ENCRYPT_DECRYPT"
  rotation_period            = "7776000s"
  destroy_scheduled_duration = "2592000s"
  labels                     = local.labels
}

# Google's own agents in the project, each for what it keeps: disks of nodes, Secrets of the cluster,
# the database, its password. Agents exist once their service is enabled, or was asked for its own.
resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = toset(["compute-system", "container-engine-robot", "gcp-sa-cloud-sql", "gcp-sa-secretmanager"])

  crypto_key_id = google_kms_crypto_key.cell.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:service-${data.google_project.this.number}@${each.value}.iam.gserviceaccount.com"
}
