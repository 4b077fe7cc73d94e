# A control plane on AWS that makes cells there, and one on GCP that makes cells there. Copy this folder
# and put in what is yours; take away the half that you do not need.

locals {
  aws = {
    region             = "us-east-1"
    account            = "222233334444"
    management_account = "111122223333"
  }
  google = {
    region  = "us-east4"
    project = "example-control-plane"
  }
}

# The account of the control plane.
provider "aws" {
  region              = local.aws.region
  allowed_account_ids = [local.aws.account]
}

# The management account of the organisation, for the few things that are only possible there.
provider "aws" {
  alias               = "management"
  region              = local.aws.region
  allowed_account_ids = [local.aws.management_account]

  assume_role {
    role_arn = "arn:aws:iam::${local.aws.management_account}:role/OrganizationAdministrator"
  }
}

provider "google" {
  project = local.google.project
  region  = local.google.region
}

module "aws" {
  source    = "../../modules/control-plane-aws"
  providers = { aws = aws, aws.management = aws.management }

  account            = local.aws.account
  region             = local.aws.region
  network            = "10.0.0.0/16"
  operator_networks  = ["192.168.16.0/24"]
  administrators     = { operators = "arn:aws:iam::${local.aws.account}:role/Operators" }
  organization       = "o-a1b2c3d4e5"
  management_account = local.aws.management_account
  parent             = "r-ab12"
  cell_regions       = ["us-east-1", "eu-central-1"]
  email_pattern      = "cells+{uid}@example.com"
  external_id        = "example-fleet"
  zone               = "temporal.example.com"
  zone_id            = "Z0123456789ABCDEFGHIJ"
  tags               = { environment = "example" }
}

module "google" {
  source = "../../modules/control-plane-gcp"

  project           = local.google.project
  region            = local.google.region
  network           = "10.1.0.0/16"
  operator_networks = ["192.168.16.0/24"]
  organization      = "123456789012"
  folder            = "folders/234567890123"
  billing_account   = "012345-6789AB-CDEF01"
  cell_locations    = ["in:us-east4-locations", "in:europe-west3-locations"]
  managed_zone      = "temporal-example-com"
  labels            = { environment = "example" }
}

output "aws_environment" {
  description = "What the control plane on AWS is to be started with."
  value       = module.aws.environment
}

output "google_environment" {
  description = "What the control plane on GCP is to be started with."
  value       = module.google.environment
}
