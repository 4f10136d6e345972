# `make deploy` copies this beside main.tf, and passes bucket, key and region: without it a plan needs no account's state.
# use_lockfile: S3 itself keeps two applies apart.
terraform {
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
