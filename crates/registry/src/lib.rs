//! The OCI distribution API over a content-addressed store.
