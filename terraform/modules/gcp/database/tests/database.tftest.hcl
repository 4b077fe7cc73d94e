mock_provider "google" {
  mock_resource "google_sql_database_instance" {
    defaults = {
      server_ca_cert              = [{ cert = "-----BEGIN CERTIFICATE-----" }]
      psc_service_attachment_link = "projects/one/regions/us-east4/serviceAttachments/one"
    }
  }

  mock_resource "google_compute_address" {
    defaults = { address = "10.8.35.2" }
  }

  mock_resource "google_secret_manager_secret" {
    defaults = { id = "projects/cell-k7m2p9qx/secrets/cell-k7m2p9qx-database" }
  }
}

variables {
  name                = "cell-k7m2p9qx"
  project             = "cell-k7m2p9qx"
  region              = "us-east4"
  network             = "projects/cell-k7m2p9qx/global/networks/cell-k7m2p9qx"
  subnet              = "projects/cell-k7m2p9qx/regions/us-east4/subnetworks/cell-k7m2p9qx-endpoints"
  consumer_projects   = ["control-plane-1"]
  tier                = "db-perf-optimized-N-8"
  storage_gib         = 200
  key                 = "projects/cell-k7m2p9qx/locations/us-east4/keyRings/one/cryptoKeys/cell"
  final_backup        = false
  deletion_protection = true
  labels              = { controlplane-uid = "k7m2p9qx" }
}

run "survives_the_loss_of_a_zone" {
  command = plan

  assert {
    condition = (
      google_sql_database_instance.this.settings[0].availability_type == "REGIONAL"
      && google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled
    )
    error_message = "there is a standby in another zone, and a way back in time"
  }
}

run "is_encrypted_and_reached_over_tls_from_within" {
  command = plan

  assert {
    condition = (
      google_sql_database_instance.this.encryption_key_name == var.key
      && !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled
      && google_sql_database_instance.this.settings[0].ip_configuration[0].ssl_mode == "ENCRYPTED_ONLY"
    )
    error_message = "what it keeps is encrypted with the key; it has no public address, and refuses who does not speak TLS"
  }

  assert {
    condition = alltrue([
      for config in google_sql_database_instance.this.settings[0].ip_configuration[0].psc_config :
      config.psc_enabled && config.allowed_consumer_projects == toset(["cell-k7m2p9qx", "control-plane-1"])
    ])
    error_message = "who may connect is listed"
  }
}

run "keeps_no_password_in_the_state" {
  command = plan

  assert {
    condition     = google_sql_database_instance.this.root_password == null
    error_message = "the first role has no password until somebody makes one"
  }

  assert {
    condition     = google_secret_manager_secret.this.replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name == var.key
    error_message = "the secret for it is encrypted with the key"
  }
}

run "is_protected_twice" {
  command = plan

  assert {
    condition = (
      google_sql_database_instance.this.deletion_protection
      && google_sql_database_instance.this.settings[0].deletion_protection_enabled
    )
    error_message = "Terraform refuses to delete it, and so does Google"
  }
}

run "tells_where_it_is_and_who_signs_for_it" {
  command = apply

  assert {
    condition = (
      output.address == "10.8.35.2:5432"
      && output.secret == "projects/cell-k7m2p9qx/secrets/cell-k7m2p9qx-database"
      && output.ca == "-----BEGIN CERTIFICATE-----"
    )
    error_message = "its address is that of the endpoint in the VPC"
  }
}
