# What no project of a cell may do, whoever asks.
locals {
  enforced = toset([
    "compute.disableSerialPortAccess",
    "compute.requireOsLogin",
    "compute.requireShieldedVm",
    "compute.skipDefaultNetworkCreation",
    "iam.automaticIamGrantsForDefaultServiceAccounts",
    "iam.disableServiceAccountKeyCreation",
    "iam.disableServiceAccountKeyUpload",
    "sql.restrictPublicIp",
    "storage.publicAccessPrevention",
    "storage.uniformBucketLevelAccess",
  ])
}

resource "google_org_policy_policy" "enforced" {
  for_each = local.enforced

  name   = "${var.folder}/policies/${each.value}"
  parent = var.folder

  spec {
    rules {
      enforce = "TRUE"
    }
  }
}

# No instance has an address on the internet.
resource "google_org_policy_policy" "external_addresses" {
  name   = "${var.folder}/policies/compute.vmExternalIpAccess"
  parent = var.folder

  spec {
    rules {
      deny_all = "TRUE"
    }
  }
}

resource "google_org_policy_policy" "locations" {
  name   = "${var.folder}/policies/gcp.resourceLocations"
  parent = var.folder

  spec {
    rules {
      values {
        allowed_values = var.cell_locations
      }
    }
  }
}
