//! Host ports, the outside, TLS for AWS names.
