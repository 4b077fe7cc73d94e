# What the Temporal services search workflows with.
resource "aws_opensearch_domain" "this" {
  #checkov:skip=CKV_AWS_317:AUDIT_LOGS are published: the check does not read dynamic blocks.
  count = var.opensearch ? 1 : 0

  domain_name    = local.name
  engine_version = "OpenSearch_2.19"
  tags           = local.tags

  cluster_config {
    instance_type                 = local.size.search
    instance_count                = 3
    dedicated_master_enabled      = true
    dedicated_master_type         = "m7g.large.search"
    dedicated_master_count        = 3
    zone_awareness_enabled        = true
    multi_az_with_standby_enabled = false

    zone_awareness_config {
      availability_zone_count = 3
    }
  }

  ebs_options {
    ebs_enabled = true
    volume_type = "gp3"
    volume_size = local.size.search_gib
  }

  vpc_options {
    subnet_ids         = values(module.network.data_subnets)
    security_group_ids = aws_security_group.search[*].id
  }

  encrypt_at_rest {
    enabled    = true
    kms_key_id = aws_kms_key.cell.arn
  }

  node_to_node_encryption {
    enabled = true
  }

  domain_endpoint_options {
    enforce_https       = true
    tls_security_policy = "Policy-Min-TLS-1-2-PFS-2023-10"
  }

  # No passwords: requests are signed by the role of the Temporal services, or refused.
  advanced_security_options {
    enabled                        = true
    anonymous_auth_enabled         = false
    internal_user_database_enabled = false

    master_user_options {
      master_user_arn = aws_iam_role.temporal.arn
    }
  }

  access_policies = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "es:ESHttp*"
      Principal = { AWS = aws_iam_role.temporal.arn }
      Resource  = "arn:${local.partition}:es:${var.region}:${var.account}:domain/${local.name}/*"
    }]
  })

  dynamic "log_publishing_options" {
    for_each = aws_cloudwatch_log_group.search

    content {
      log_type                 = log_publishing_options.key
      cloudwatch_log_group_arn = log_publishing_options.value.arn
    }
  }

  software_update_options {
    auto_software_update_enabled = true
  }

  off_peak_window_options {
    enabled = true
  }

  depends_on = [
    aws_cloudwatch_log_resource_policy.search,
    aws_iam_service_linked_role.search,
  ]
}

resource "aws_security_group" "search" {
  count = var.opensearch ? 1 : 0

  name        = "${local.name}-search"
  description = "OpenSearch: the nodes come in, nothing goes out"
  vpc_id      = module.network.vpc
  tags        = merge(local.tags, { Name = "${local.name}-search" })
}

resource "aws_vpc_security_group_ingress_rule" "search" {
  count = var.opensearch ? 1 : 0

  security_group_id            = aws_security_group.search[0].id
  description                  = "HTTPS from the nodes"
  referenced_security_group_id = module.cluster.security_group
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  tags                         = local.tags
}

resource "aws_cloudwatch_log_group" "search" {
  #checkov:skip=CKV_AWS_338:Who reads the logs says how long they are needed: log_retention_days.
  for_each = {
    for type, name in {
      AUDIT_LOGS          = "audit"
      ES_APPLICATION_LOGS = "application"
      INDEX_SLOW_LOGS     = "index-slow"
      SEARCH_SLOW_LOGS    = "search-slow"
    } : type => name if var.opensearch
  }

  name              = "/controlplane/${local.name}/search/${each.value}"
  kms_key_id        = aws_kms_key.cell.arn
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_cloudwatch_log_resource_policy" "search" {
  count = var.opensearch ? 1 : 0

  policy_name = "${local.name}-search"

  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:PutLogEventsBatch"]
      Principal = { Service = "es.amazonaws.com" }
      Resource  = "arn:${local.partition}:logs:${var.region}:${var.account}:log-group:/controlplane/${local.name}/search/*"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
    }]
  })
}
