variable "name" {
  description = "The cluster's name."
  type        = string
}

variable "region" {
  description = "The region, such as us-east-1."
  type        = string
}

variable "kubernetes_version" {
  description = "The minor version of Kubernetes, such as 1.35."
  type        = string
}

variable "subnets" {
  description = "By zone: the subnet of its nodes and pods."
  type        = map(string)
}

variable "client_networks" {
  description = "IPv4 ranges outside the VPC that may reach the cluster's endpoint."
  type        = list(string)
  default     = []
}

variable "administrators" {
  description = "By a name for the entry: the ARN of a role that administers the cluster."
  type        = map(string)
}

variable "instance_type" {
  description = "The type of its nodes."
  type        = string
}

variable "nodes_per_zone" {
  description = "How many nodes each zone has."
  type        = number
}

variable "key" {
  description = "ARN of the KMS key that encrypts Secrets, volumes and logs."
  type        = string
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
  description = "Tags of everything, nodes and their volumes included."
  type        = map(string)
}
