output "address" {
  description = "Of the instance's endpoint in the VPC, host:port."
  value       = "${google_compute_address.this.address}:5432"
}

output "secret" {
  description = "Resource name of the secret for the first role's name and password."
  value       = google_secret_manager_secret.this.id
}

output "ca" {
  description = "PEM: who signs the instance's certificate."
  value       = google_sql_database_instance.this.server_ca_cert[0].cert
}

output "service_attachment" {
  description = "What endpoints in other networks connect to."
  value       = google_sql_database_instance.this.psc_service_attachment_link
}
