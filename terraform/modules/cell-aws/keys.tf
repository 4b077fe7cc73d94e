resource "aws_kms_key" "cell" {
  description             = "Encrypts what the cell ${var.cell} keeps"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy                  = jsonencode(local.key_policy)
  tags                    = local.tags
}

resource "aws_kms_alias" "cell" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.cell.key_id
}

locals {
  key_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "WhatIdentitiesOfTheAccountMayTheirPoliciesSay"
        Effect    = "Allow"
        Action    = "kms:*"
        Resource  = "*"
        Principal = { AWS = "arn:${local.partition}:iam::${var.account}:root" }
      },
      {
        Sid      = "LogsOfTheCell"
        Effect   = "Allow"
        Action   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource = "*"
        Principal = {
          Service = "logs.${var.region}.amazonaws.com"
        }
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${var.region}:${var.account}:log-group:*"
          }
        }
      },
    ]
  }
}

# The account is the cell's alone: nothing else has made these roles yet.
resource "aws_iam_service_linked_role" "autoscaling" {
  aws_service_name = "autoscaling.amazonaws.com"
  tags             = local.tags
}

resource "aws_iam_service_linked_role" "search" {
  count = var.opensearch ? 1 : 0

  aws_service_name = "opensearchservice.amazonaws.com"
  tags             = local.tags
}

# Starts instances whose volumes are encrypted with the key.
resource "aws_kms_grant" "autoscaling" {
  name              = "${local.name}-autoscaling"
  key_id            = aws_kms_key.cell.key_id
  grantee_principal = aws_iam_service_linked_role.autoscaling.arn

  operations = [
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
  ]
}
