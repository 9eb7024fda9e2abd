//! `GET /_cat/master`.

use ringwall_api::ApiResult;
use ringwall_api::nodes::NodeInfo;

use super::super::nodes::host_of;
use super::{CatTable, Column, all_nodes, column};
use crate::request::RestRequest;

/// Which node is the master.
pub struct Master;

impl CatTable for Master {
    /// With its id.
    type Row = (String, NodeInfo);

    const COLUMNS: &'static [Column<Self::Row>] = &[
        column("id", &[], "node id", |(id, _)| id.clone().into()),
        column("host", &["h"], "host name", |(_, node)| {
            host_of(&node.transport_address).into()
        }),
        column("ip", &[], "ip address", |(_, node)| {
            host_of(&node.transport_address).into()
        }),
        column("node", &["n"], "node name", |(_, node)| {
            node.name.clone().into()
        }),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Self::Row>> {
        let nodes = all_nodes(request).await?.nodes.into_iter();
        Ok(nodes.filter(|(_, node)| node.is_master).collect())
    }
}
