//! DNS in every VPC.
