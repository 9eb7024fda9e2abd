//! Pages that list things: a filter, a table of one page of them, the way on, and who may make another.

use maud::{Markup, html};

use crate::context::{Context, PageResult};
use crate::request::Request;
use crate::urlencoded::encode;
use crate::{forms, layout, routes};

/// What such a page says, beside its rows.
pub struct Listing<'a> {
    pub title: &'a str,
    /// Of the page, without its query.
    pub path: &'a str,
    /// What the table holds.
    pub caption: &'a str,
    pub heads: &'a [&'a str],
    /// Path and text of the link to make another; it is left out for who may not open it.
    pub create: Option<(&'a str, &'a str)>,
    /// Name and label of a switch beside the filter.
    pub switch: Option<(&'a str, &'a str)>,
}

impl Listing<'_> {
    /// Returns the page, with `above` before the list.
    pub async fn page<T>(
        &self,
        context: &Context<'_>,
        listed: &Listed<T>,
        above: Markup,
        row: impl Fn(&T) -> Markup,
    ) -> PageResult {
        let privileges = context.privileges().await;
        let create = self
            .create
            .filter(|(path, _)| routes::may_open(path, &privileges));
        let rows = html! { @for item in &listed.page { tr { (row(item)) } } };
        let content = html! {
            (above)
            @if let Some((path, text)) = create {
                p { a href=(context.link(path)) { (text) } }
            }
            (self.filter(context))
            (forms::table(self.caption, self.heads, rows))
            (self.pager(context, listed))
        };
        Ok(layout::page(context, self.title, content).await)
    }

    /// The field that narrows the list.
    fn filter(&self, context: &Context<'_>) -> Markup {
        html! {
            form.bar method="get" action=(context.link(self.path)) role="search" {
                label for="q" { "Name" }
                input id="q" name="q" value=(context.request.query("q")) type="search";
                @if let Some((name, label)) = self.switch {
                    input id=(name) name=(name) type="checkbox" value="true" checked[is_on(context.request, name)];
                    label for=(name) { (label) }
                }
                button { "Filter" }
            }
        }
    }

    /// What is shown of how much, and the way on.
    fn pager<T>(&self, context: &Context<'_>, listed: &Listed<T>) -> Markup {
        let filter = encode(context.request.query("q"));
        let switch = match self.switch {
            Some((name, _)) if is_on(context.request, name) => format!("&{name}=true"),
            _ => String::new(),
        };
        let link =
            |from: usize| context.link(&format!("{}?q={filter}{switch}&from={from}", self.path));
        let (from, end) = (listed.from, listed.from + listed.page.len());
        html! {
            nav.pager aria-label={ "Parts of the list: " (self.caption) } {
                @if listed.found == 0 { "None." } @else { (from + 1) " to " (end) " of " (listed.found) ". " }
                @if from > 0 { a href=(link(from.saturating_sub(PAGE))) { "Back" } " " }
                @if end < listed.found { a href=(link(end)) { "On" } }
            }
        }
    }
}

/// Returns whether the switch of a list is on.
pub fn is_on(request: &Request, name: &str) -> bool {
    request.query(name) == "true"
}

/// The part of a list that a page shows: what has the text of `q` in its name, in the order of names, from `from` on.
pub struct Listed<T> {
    pub page: Vec<T>,
    found: usize,
    from: usize,
}

impl<T> Listed<T> {
    pub fn of(request: &Request, all: impl Iterator<Item = T>, name: impl Fn(&T) -> &str) -> Self {
        let filter = request.query("q").to_lowercase();
        let mut found: Vec<T> = all
            .filter(|item| name(item).to_lowercase().contains(&filter))
            .collect();
        found.sort_by(|a, b| name(a).cmp(name(b)));
        let count = found.len();
        let from = request.query("from").parse().unwrap_or(0).min(count);
        Self {
            page: found.into_iter().skip(from).take(PAGE).collect(),
            found: count,
            from,
        }
    }
}

/// Rows of a page.
const PAGE: usize = 50;
