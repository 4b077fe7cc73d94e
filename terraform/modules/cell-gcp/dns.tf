# A zone of the cell's own, whose name leads to the internal load balancer. The name under which
# namespaces find the ingress is another: it is in the fleet's zone, and the control plane's to write.
locals {
  zones = toset(var.dns_zone == "" ? [] : [var.dns_zone])
}

resource "google_dns_managed_zone" "cell" {
  for_each = local.zones

  project       = var.account
  name          = local.name
  dns_name      = "${each.value}."
  description   = "The cell ${var.cell}"
  visibility    = "public"
  force_destroy = true
  labels        = local.labels

  dnssec_config {
    state = "on"
  }

  cloud_logging_config {
    enable_logging = true
  }
}

resource "google_dns_record_set" "ingress" {
  for_each = local.zones

  project      = var.account
  managed_zone = google_dns_managed_zone.cell[each.key].name
  name         = "${each.value}."
  type         = "A"
  ttl          = 60
  rrdatas      = [google_compute_forwarding_rule.ingress.ip_address]
}

resource "google_dns_record_set" "delegation" {
  for_each = var.dns_parent_zone == "" ? toset([]) : local.zones

  project      = var.dns_parent_project
  managed_zone = var.dns_parent_zone
  name         = "${each.value}."
  type         = "NS"
  ttl          = 300
  rrdatas      = google_dns_managed_zone.cell[each.key].name_servers
}
