# Where Terraform keeps what it has made for each cell. It locks with a file beside the state.
resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_18:Who read what is in CloudTrail's data events, if the organisation records them.
  #checkov:skip=CKV_AWS_144:Versions are kept for a year; a copy elsewhere would be a second place to guard.
  #checkov:skip=CKV2_AWS_62:Nobody waits for changes of the state.
  bucket = "${var.name}-state-${var.account}-${var.region}"
  tags   = local.tags

  lifecycle {
    # Without it nobody knows what there is of any cell.
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.state.arn
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    id     = "former-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 365
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "NothingInTheClear"
        Effect    = "Deny"
        Action    = "s3:*"
        Principal = { AWS = "*" }
        Resource  = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "TheOrganizationsRoleLists"
        Effect    = "Allow"
        Action    = ["s3:GetBucketVersioning", "s3:ListBucket"]
        Principal = { AWS = aws_iam_role.organization.arn }
        Resource  = aws_s3_bucket.state.arn
      },
      {
        Sid       = "TheOrganizationsRoleKeepsStates"
        Effect    = "Allow"
        Action    = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Principal = { AWS = aws_iam_role.organization.arn }
        Resource  = "${aws_s3_bucket.state.arn}/cells/*"
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.state]
}
