terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.69"
      # aws.dns writes the delegation into the zone above the cell's, which is another account's.
      configuration_aliases = [aws, aws.dns]
    }
  }
}
