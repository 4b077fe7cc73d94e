terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.69"
    }
    google = {
      source  = "hashicorp/google"
      version = "~> 8.7"
    }
  }

  # The first apply makes the bucket: then take the comment away and run `terraform init -migrate-state`.
  # backend "s3" {
  #   bucket       = "controlplane-state-222233334444-us-east-1"
  #   key          = "environments/example/terraform.tfstate"
  #   region       = "us-east-1"
  #   encrypt      = true
  #   use_lockfile = true
  # }
}
