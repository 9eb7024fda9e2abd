//! `GET /_ssl/certificates`. Source: node.md section 9.1.

use ringwall_api::ApiResult;
use ringwall_api::cluster::SslCertificatesRequest;

use crate::request::{RestRequest, RestResponse};

/// Lists the TLS certificates of the node that answers.
pub async fn certificates(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(SslCertificatesRequest).await?;
    Ok(RestResponse::json(answer.certificates))
}
