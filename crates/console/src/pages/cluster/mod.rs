//! `/cluster`: nodes, what they do, how they are set, and where shards are not.

pub mod allocation;
pub mod nodes;
pub mod settings;
pub mod tasks;

use maud::{Markup, html};

use crate::context::Context;
use crate::routes;

/// Returns the links between the pages of the cluster, of which each user sees the ones that may be used.
async fn tabs(context: &Context<'_>) -> Markup {
    let privileges = context.privileges().await;
    html! {
        nav.tabs aria-label="Pages of the cluster" {
            ul {
                @for (path, name) in PAGES {
                    @if routes::may_open(path, &privileges) {
                        @let is_here = context.request.path == *path;
                        li { a href=(context.link(path)) aria-current=[is_here.then_some("page")] { (name) } }
                    }
                }
            }
        }
    }
}

const PAGES: &[(&str, &str)] = &[
    ("/cluster", "Nodes"),
    ("/cluster/tasks", "Tasks"),
    ("/cluster/settings", "Settings"),
    ("/cluster/allocation", "Allocation"),
];
