//! The AWS services, the scheduler and the projection; no kernel.
