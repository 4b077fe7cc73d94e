output "environment" {
  description = "What the control plane is to be started with to make cells in this organisation."
  value = {
    CONTROLPLANE_GCP_BILLING_ACCOUNT        = var.billing_account
    CONTROLPLANE_GCP_CONTROL_PLANE_NETWORKS = var.network
    CONTROLPLANE_GCP_DNS_ENDPOINT           = tostring(var.dns_endpoint)
    CONTROLPLANE_GCP_FOLDER                 = var.folder
    CONTROLPLANE_GCP_HUB                    = google_network_connectivity_hub.cells.id
    CONTROLPLANE_GCP_KUBERNETES_VERSION     = var.kubernetes_version
    CONTROLPLANE_GCP_PRINCIPAL              = google_service_account.this.member
    CONTROLPLANE_GCP_PROJECT                = var.project
    CONTROLPLANE_GCP_PROJECT_PREFIX         = var.project_prefix
    CONTROLPLANE_GCP_STATE_BUCKET           = google_storage_bucket.state.name
  }
}

output "service_account" {
  description = "E-mail for the annotation iam.gke.io/gcp-service-account of the control plane's service account."
  value       = google_service_account.this.email
}

output "cluster_name" {
  description = "The Kubernetes cluster that the control plane runs in."
  value       = module.cluster.name
}

output "cluster_endpoint" {
  description = "The cluster's endpoint: an https URL, reached from the VPC and from operator_networks."
  value       = module.cluster.endpoint
}

output "cluster_ca" {
  description = "PEM: who signs the endpoint's certificate."
  value       = module.cluster.ca
}

output "database" {
  description = "The PostgreSQL server, host:port."
  value       = module.database.address
}

output "database_secret" {
  description = "Resource name of the secret for the first role's name and password: to be filled by whoever sets it."
  value       = module.database.secret
}

output "database_ca" {
  description = "PEM: who signs the server's certificate."
  value       = module.database.ca
}

output "key" {
  description = "Resource name of the KMS key that encrypts the control plane's secrets."
  value       = google_kms_crypto_key.secrets.id
}
