//! `_ssl/certificates`.

use ringwall_api::ApiResult;
use ringwall_api::security::SslCertificatesRequest;

use crate::request::{RestRequest, RestResponse};

/// `GET /_ssl/certificates`: the TLS certificates of the node that answers.
pub async fn certificates(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(SslCertificatesRequest).await?;
    Ok(RestResponse::json(answer.certificates))
}
