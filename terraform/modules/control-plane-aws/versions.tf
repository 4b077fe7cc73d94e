terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.69"
      # Only the organisation's management account can make accounts: aws.management acts there.
      configuration_aliases = [aws, aws.management]
    }
  }
}
