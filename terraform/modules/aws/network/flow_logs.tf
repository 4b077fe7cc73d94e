resource "aws_flow_log" "this" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  log_destination_type     = "cloud-watch-logs"
  log_destination          = aws_cloudwatch_log_group.flows.arn
  iam_role_arn             = aws_iam_role.flows.arn
  max_aggregation_interval = 60
  tags                     = merge(var.tags, { Name = var.name })
}

resource "aws_cloudwatch_log_group" "flows" {
  #checkov:skip=CKV_AWS_338:Who reads the logs says how long they are needed: log_retention_days.
  name              = "/controlplane/${var.name}/flows"
  kms_key_id        = var.key
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "flows" {
  name = "${var.name}-flow-logs"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "flows" {
  name = "write"
  role = aws_iam_role.flows.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
      Resource = "${aws_cloudwatch_log_group.flows.arn}:*"
    }]
  })
}
