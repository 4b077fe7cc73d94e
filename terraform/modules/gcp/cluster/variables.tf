variable "name" {
  description = "The cluster's name."
  type        = string
}

variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "The region, such as us-east4."
  type        = string
}

variable "zones" {
  description = "The zones of its nodes."
  type        = list(string)
}

variable "network" {
  description = "The VPC's id."
  type        = string
}

variable "subnet" {
  description = "Id of the subnet of its nodes, with the secondary ranges `pods` and `services`."
  type        = string
}

variable "kubernetes_version" {
  description = "The minor version of Kubernetes, such as 1.35."
  type        = string
}

variable "client_networks" {
  description = "IPv4 ranges outside the VPC that may reach the cluster's private endpoint."
  type        = list(string)
  default     = []
}

variable "dns_endpoint" {
  description = "Whether the cluster is reached by its name at Google, where IAM is asked before the cluster is, instead of by its private address."
  type        = bool
}

variable "machine_type" {
  description = "The type of its nodes."
  type        = string
}

variable "nodes_per_zone" {
  description = "How many nodes each zone has."
  type        = number
}

variable "key" {
  description = "Resource name of the KMS key that encrypts Secrets and the nodes' disks."
  type        = string
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete it."
  type        = bool
}

variable "labels" {
  description = "Labels of everything, nodes and their disks included."
  type        = map(string)
}
