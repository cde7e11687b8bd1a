//! Makes the kernel match what is desired and reports what is.

pub mod network;
