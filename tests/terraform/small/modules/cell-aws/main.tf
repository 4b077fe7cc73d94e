# A cell of five resources, with the inputs and outputs that a cell's module has.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.69"
    }
  }
}

variable "uid" {
  type = string
}

variable "network" {
  type = string
}

variable "region" {
  type = string
}

variable "database_port" {
  type    = string
  default = "5432"
}

variable "deletion_protection" {
  type    = bool
  default = true
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["eks.amazonaws.com"]
    }
  }
}

resource "aws_vpc" "this" {
  cidr_block = var.network
}

resource "aws_subnet" "this" {
  vpc_id     = aws_vpc.this.id
  cidr_block = cidrsubnet(var.network, 4, 0)
}

resource "aws_iam_role" "this" {
  name               = "cell-${var.uid}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_eks_cluster" "this" {
  name     = "cell-${var.uid}"
  role_arn = aws_iam_role.this.arn

  vpc_config {
    subnet_ids = [aws_subnet.this.id]
  }
}

resource "aws_db_instance" "this" {
  identifier                  = "cell-${var.uid}"
  instance_class              = "db.m7g.large"
  deletion_protection         = var.deletion_protection
  manage_master_user_password = true
}

output "cluster_name" {
  value = aws_eks_cluster.this.name
}

output "cluster_endpoint" {
  value = aws_eks_cluster.this.endpoint
}

output "cluster_ca" {
  value = base64decode(aws_eks_cluster.this.certificate_authority[0].data)
}

output "database" {
  value = "${aws_db_instance.this.address}:${var.database_port}"
}

output "database_secret" {
  value = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "database_ca" {
  value = ""
}

output "search" {
  value = ""
}

output "key" {
  value = ""
}

output "endpoint_service" {
  value = ""
}

output "identities" {
  value = { "temporal/temporal" = aws_iam_role.this.arn }
}

output "region" {
  value = var.region
}
