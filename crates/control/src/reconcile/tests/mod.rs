//! The loops with a machine that the test plays.

mod fake;
mod hand_over;
mod loops;
mod parts;
