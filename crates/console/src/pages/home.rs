//! `/`: on to the first page that the user may use.

use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::routes;

pub async fn show(context: &Context<'_>) -> PageResult {
    let privileges = context.privileges().await;
    let first = routes::linked(&privileges).next();
    let (path, _) = first.ok_or(Failure::NotFound)?;
    Ok(context.redirect(path))
}
