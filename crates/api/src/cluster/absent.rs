//! What Elasticsearch has and there is none of here: asked for, the answer is that there is nothing. Each is an action of
//! its own, for roles grant them apart.

use serde::{Deserialize, Serialize};

pub use crate::security::Empty;

/// Repositories of snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetRepositoriesRequest;

/// Snapshots of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetSnapshotsRequest;

/// Features whose state could be in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetFeaturesRequest;

/// What is in use and will not be there in a later version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetDeprecationsRequest;

/// Features whose indices an older version has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetFeatureUpgradesRequest;
