variable "name" {
  description = "Name of the queue."
  type        = string
}

variable "arn" {
  description = "The queue's ARN, which its policy names."
  type        = string
}

variable "account_id" {
  description = "Account whose bucket may send to the queue."
  type        = string
}

variable "source_bucket_arn" {
  description = "Bucket whose notifications the queue takes."
  type        = string
}

variable "visibility_timeout_seconds" {
  description = "How long a received message is hidden: six times the timeout of the function that reads it."
  type        = number
}
