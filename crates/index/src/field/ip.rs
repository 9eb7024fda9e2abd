//! `ip`: addresses of both versions.

use std::net::IpAddr;

use super::parameter::{self as p, Parameter};
use super::scalar::{Rejection, Scalar, malformed};
use super::{Family, Mapper};
use crate::document::Values;
use crate::mapping::FieldMapping;
use crate::schema::encode_ip;

#[derive(Debug)]
pub(super) struct Ip;

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    p::NULL_VALUE,
    p::IGNORE_MALFORMED,
];

impl Mapper for Ip {
    fn name(&self) -> &'static str {
        "ip"
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Ip)
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn add(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        let text = scalar.text();
        let address: IpAddr = text
            .parse()
            .map_err(|_| malformed(format!("'{text}' is not an IP string literal.")))?;
        if field.is_searchable() {
            values.keyword(field, encode_ip(address));
        }
        Ok(())
    }
}
