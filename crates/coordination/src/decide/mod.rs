//! Decisions as pure functions: no clock, no network, no randomness.

pub(crate) mod bootstrap;
pub(crate) mod contact;
pub(crate) mod flapping;
pub(crate) mod formation;
pub(crate) mod pre_vote;
pub(crate) mod silence;
pub(crate) mod voters;
