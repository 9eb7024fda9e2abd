//! What there is none of, see [`ringwall_api::cluster::GetRepositoriesRequest`] and its neighbours.

use std::sync::Arc;

use ringwall_api::cluster::{
    Empty, GetDeprecationsRequest, GetFeatureUpgradesRequest, GetFeaturesRequest,
    GetRepositoriesRequest, GetSnapshotsRequest,
};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::services::Services;

macro_rules! nothing {
    ($($request:ty),*) => {
        $(impl Handler<$request> for Services {
            async fn handle(
                _services: Arc<Self>,
                _context: RequestContext,
                _request: Resolved<$request>,
            ) -> ApiResult<Empty> {
                Ok(Empty {})
            }
        })*
    };
}

nothing!(
    GetRepositoriesRequest,
    GetSnapshotsRequest,
    GetFeaturesRequest,
    GetDeprecationsRequest,
    GetFeatureUpgradesRequest
);
