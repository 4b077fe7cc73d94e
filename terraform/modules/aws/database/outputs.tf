output "address" {
  description = "Of the server, host:port."
  value       = aws_db_instance.this.endpoint
}

output "secret" {
  description = "ARN of the secret that holds the first role's name and password."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "ca" {
  description = "PEM: who signs the server's certificate."
  value       = fileexists(local.certificate) ? file(local.certificate) : ""
}
