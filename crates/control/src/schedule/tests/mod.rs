//! Services over the API with a machine that the test plays, tasks' lives, and simulations of the decisions.

mod alarms;
mod deployments;
mod discovery;
mod flow;
mod life;
mod protection;
mod roles;
mod simulation;
mod steps;
pub(crate) mod world;
