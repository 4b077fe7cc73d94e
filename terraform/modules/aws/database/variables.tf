variable "name" {
  description = "The server's identifier."
  type        = string
}

variable "region" {
  description = "The region, such as us-east-1."
  type        = string
}

variable "vpc" {
  description = "The VPC's id."
  type        = string
}

variable "subnets" {
  description = "Subnets in three zones."
  type        = list(string)
}

variable "client_groups" {
  description = "Security groups whose members may connect, by a name for the rule."
  type        = map(string)
}

variable "client_networks" {
  description = "IPv4 ranges that may connect."
  type        = list(string)
  default     = []
}

variable "instance_class" {
  description = "The class of the two instances."
  type        = string
}

variable "storage_gib" {
  description = "What it begins with. Storage grows by itself, up to eight times that."
  type        = number
}

variable "key" {
  description = "ARN of the KMS key that encrypts storage, backups, the first role's password and logs."
  type        = string
}

variable "final_snapshot" {
  description = "Whether a last snapshot outlives the server."
  type        = bool
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete it."
  type        = bool
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
}
