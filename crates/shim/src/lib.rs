//! One task's containers, and the pull helper.
