//! `GET /_cat/nodeattrs`.

use ringwall_api::ApiResult;

use super::super::nodes::host_of;
use super::{CatTable, Column, all_nodes, column};
use crate::request::RestRequest;

/// The attributes of nodes.
pub struct NodeAttributes;

pub struct Row {
    node: String,
    host: String,
    attribute: String,
    value: String,
}

impl CatTable for NodeAttributes {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("node", &["name"], "node name", |row| {
            row.node.clone().into()
        }),
        column("host", &["h"], "host name", |row| row.host.clone().into()),
        column("ip", &["i"], "ip address", |row| row.host.clone().into()),
        column("attr", &["attr.name"], "attribute", |row| {
            row.attribute.clone().into()
        }),
        column("value", &["attr.value"], "value", |row| {
            row.value.clone().into()
        }),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let mut rows = Vec::new();
        for node in all_nodes(request).await?.nodes.into_values() {
            for (attribute, value) in node.attributes {
                rows.push(Row {
                    node: node.name.clone(),
                    host: host_of(&node.transport_address).to_owned(),
                    attribute,
                    value,
                });
            }
        }
        Ok(rows)
    }
}
