//! Whole clusters in one process, on a simulated network whose links can be cut.

mod formation;
mod membership;
mod partitions;
mod recovery;
mod world;
