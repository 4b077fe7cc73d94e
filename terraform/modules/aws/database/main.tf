locals {
  certificate = "${path.module}/certificates/${var.region}.pem"
}

resource "aws_db_instance" "this" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = "17"
  instance_class = var.instance_class

  # A standby in another zone takes over within a minute or two; commits wait for it.
  multi_az               = true
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  publicly_accessible    = false
  port                   = 5432
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  storage_type          = "gp3"
  allocated_storage     = var.storage_gib
  max_allocated_storage = var.storage_gib * 8
  storage_encrypted     = true
  kms_key_id            = var.key

  # RDS makes the password, keeps it in Secrets Manager and rotates it: Terraform never sees it.
  username                            = "controlplane"
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = var.key
  iam_database_authentication_enabled = true

  parameter_group_name        = aws_db_parameter_group.this.name
  allow_major_version_upgrade = false
  auto_minor_version_upgrade  = true
  maintenance_window          = "sun:03:00-sun:04:00"

  backup_window            = "01:00-02:00"
  backup_retention_period  = 14
  copy_tags_to_snapshot    = true
  delete_automated_backups = true
  deletion_protection      = var.deletion_protection

  skip_final_snapshot       = !var.final_snapshot
  final_snapshot_identifier = var.final_snapshot ? "${var.name}-final" : null

  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  performance_insights_enabled          = true
  performance_insights_kms_key_id       = var.key
  performance_insights_retention_period = 7
  enabled_cloudwatch_logs_exports       = ["postgresql", "upgrade"]

  tags = var.tags

  lifecycle {
    # AWS takes minor versions by itself; a plan must not go back.
    ignore_changes = [engine_version]

    precondition {
      condition     = fileexists(local.certificate)
      error_message = "The root certificate of RDS in ${var.region} is not known: add certificates/${var.region}.pem."
    }
  }

  depends_on = [aws_cloudwatch_log_group.this]
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnets
  tags       = var.tags
}

resource "aws_db_parameter_group" "this" {
  name   = "${var.name}-postgres17"
  family = "postgres17"
  tags   = var.tags

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_connections"
    value = "1"
  }

  parameter {
    name  = "log_disconnections"
    value = "1"
  }

  # A client that died in a transaction must not hold locks for ever.
  parameter {
    name  = "idle_in_transaction_session_timeout"
    value = "60000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "this" {
  name        = "${var.name}-database"
  description = "The PostgreSQL server: clients come in, nothing goes out"
  vpc_id      = var.vpc
  tags        = merge(var.tags, { Name = "${var.name}-database" })
}

resource "aws_vpc_security_group_ingress_rule" "groups" {
  for_each = var.client_groups

  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "networks" {
  for_each = toset(var.client_networks)

  security_group_id = aws_security_group.this.id
  description       = "PostgreSQL from ${each.value}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 5432
  to_port           = 5432
  tags              = var.tags
}

# Made before RDS would make them, unencrypted and kept for ever.
resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:Who reads the logs says how long they are needed: log_retention_days.
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${var.name}/${each.value}"
  kms_key_id        = var.key
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "monitoring" {
  name = "${var.name}-database-monitoring"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${split(":", var.key)[1]}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
