//! Linux: netlink, nf_tables, namespaces, mounts, cgroups; the only crate with unsafe code.
