resource "google_sql_database_instance" "this" {
  #checkov:skip=CKV_GCP_6:ENCRYPTED_ONLY refuses what is not TLS; the stricter mode wants certificates that Cloud SQL would issue.
  #checkov:skip=CKV_GCP_79:The newest major version that Temporal's own tests run on.
  #checkov:skip=CKV2_GCP_13:A line for each statement would be most of what the server writes.
  project             = var.project
  region              = var.region
  name                = var.name
  database_version    = "POSTGRES_17"
  encryption_key_name = var.key
  deletion_protection = var.deletion_protection

  settings {
    edition                     = "ENTERPRISE_PLUS"
    tier                        = var.tier
    availability_type           = "REGIONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.storage_gib
    disk_autoresize             = true
    disk_autoresize_limit       = var.storage_gib * 8
    deletion_protection_enabled = var.deletion_protection
    retain_backups_on_delete    = false
    user_labels                 = var.labels

    # No address on the internet: whoever is let in connects to an endpoint of their own network.
    ip_configuration {
      ipv4_enabled   = false
      ssl_mode       = "ENCRYPTED_ONLY"
      server_ca_mode = "GOOGLE_MANAGED_INTERNAL_CA"

      psc_config {
        psc_enabled               = true
        allowed_consumer_projects = toset(concat([var.project], var.consumer_projects))
      }
    }

    backup_configuration {
      enabled                        = true
      start_time                     = "01:00"
      location                       = var.region
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = 14
      }
    }

    final_backup_config {
      enabled        = var.final_backup
      retention_days = var.final_backup ? 30 : null
    }

    maintenance_window {
      day          = 7
      hour         = 3
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled = true
      query_string_length    = 1024
    }

    database_flags {
      name  = "cloudsql.enable_pgaudit"
      value = "on"
    }

    database_flags {
      name  = "cloudsql.iam_authentication"
      value = "on"
    }

    # A client that died must not hold locks for ever.
    database_flags {
      name  = "idle_in_transaction_session_timeout"
      value = "60000"
    }

    database_flags {
      name  = "log_checkpoints"
      value = "on"
    }

    database_flags {
      name  = "log_connections"
      value = "on"
    }

    database_flags {
      name  = "log_disconnections"
      value = "on"
    }

    database_flags {
      name  = "log_hostname"
      value = "on"
    }

    database_flags {
      name  = "log_lock_waits"
      value = "on"
    }

    # Slow statements are seen in Query Insights: in logs they would stand with what people wrote.
    database_flags {
      name  = "log_min_duration_statement"
      value = "-1"
    }

    database_flags {
      name  = "log_min_error_statement"
      value = "error"
    }

    database_flags {
      name  = "log_min_messages"
      value = "error"
    }

    database_flags {
      name  = "log_statement"
      value = "ddl"
    }

    database_flags {
      name  = "log_temp_files"
      value = "0"
    }

    database_flags {
      name  = "pgaudit.log"
      value = "ddl,role"
    }
  }

  lifecycle {
    # It grows by itself; a plan must not shrink it.
    ignore_changes = [settings[0].disk_size]
  }
}

resource "google_compute_address" "this" {
  project      = var.project
  region       = var.region
  name         = "${var.name}-database"
  subnetwork   = var.subnet
  address_type = "INTERNAL"
  labels       = var.labels
}

resource "google_compute_forwarding_rule" "this" {
  project                 = var.project
  region                  = var.region
  name                    = "${var.name}-database"
  network                 = var.network
  ip_address              = google_compute_address.this.id
  target                  = google_sql_database_instance.this.psc_service_attachment_link
  load_balancing_scheme   = ""
  allow_psc_global_access = true
  labels                  = var.labels
}

# For the first role's name and password. Cloud SQL keeps none itself, and Terraform would keep it in
# its state: so whoever logs in first makes the password, puts it here and then sets it.
resource "google_secret_manager_secret" "this" {
  project   = var.project
  secret_id = "${var.name}-database"
  labels    = var.labels

  replication {
    user_managed {
      replicas {
        location = var.region

        customer_managed_encryption {
          kms_key_name = var.key
        }
      }
    }
  }
}
