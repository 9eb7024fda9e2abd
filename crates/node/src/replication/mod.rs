//! Keeping the copies of a shard the same.

pub mod group;
