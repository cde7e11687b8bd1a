//! Services over the API with a machine that the test plays, tasks' lives, and simulations of the decisions.

mod flow;
mod life;
mod roles;
mod simulation;
pub(crate) mod world;
