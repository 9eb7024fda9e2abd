//! Pages of things that the cluster keeps as JSON under a name: roles, role mappings. Each has a form of a new one, also
//! from another, and a page where it is changed and deleted.

use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::Value;

use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::rights::{self, MANAGE_SECURITY};
use crate::urlencoded::encode;
use crate::{forms, layout};

/// A kind of such things.
pub struct Kind {
    /// What one is called.
    pub what: &'static str,
    /// Where the list is; each has its page below.
    pub path: &'static str,
    /// Where the form of a new one is.
    pub new: &'static str,
    /// Where the cluster has them.
    pub api: &'static str,
    pub hint: &'static str,
    pub example: &'static str,
    /// A field that the cluster tells and does not take.
    pub only_told: Option<&'static str>,
}

impl Kind {
    /// Returns where the page of one is.
    pub fn page(&self, name: &str) -> String {
        format!("{}/{}", self.path, encode(name))
    }

    /// Returns where the cluster has one.
    pub fn at(&self, name: &str) -> String {
        format!("{}/{}", self.api, encode(name))
    }

    /// The form of a new one; with `like`, of one that begins as a copy.
    pub async fn form(&self, context: &Context<'_>) -> PageResult {
        let definition = match context.request.query("like") {
            "" => self.example.to_owned(),
            like => self.typed(&self.find(context, like).await?),
        };
        let content = html! {
            form.stack method="post" action=(context.link(self.new)) {
                (forms::token(context.session()?))
                label for="name" { "Name" }
                input id="name" name="name" required autocomplete="off";
                (self.editor(&definition))
                button.primary { "Create" }
            }
        };
        Ok(layout::page(context, &format!("Create a {}", self.what), content).await)
    }

    pub async fn create(&self, context: &Context<'_>) -> PageResult {
        let name = context.request.form("name").trim();
        if name.is_empty() {
            let reason = format!("A {} needs a name.", self.what);
            return Err(Failure::Refused(StatusCode::BAD_REQUEST, reason));
        }
        let what = format!("{} [{name}]", self.what);
        context.is_new(self.at(name), &what).await?;
        self.put(context, name).await?;
        let notice = format!("The {} {name} has been created.", self.what);
        context.done(self.path, notice)
    }

    /// Returns one as the cluster has it.
    pub async fn find(&self, context: &Context<'_>, name: &str) -> Result<Value, Failure> {
        let mut answer = context.ask(Call::get(self.at(name))).await?;
        // Commas and stars in a name would find others.
        let found = answer.get_mut(name).map(Value::take);
        found.ok_or(Failure::NotFound)
    }

    /// The page of one, with `below` between its definition and its end.
    pub async fn show(
        &self,
        context: &Context<'_>,
        name: &str,
        found: &Value,
        below: Markup,
    ) -> PageResult {
        let shown = self.typed(found);
        let may_change = rights::suffice(&*context.privileges().await, MANAGE_SECURITY);
        let action = |what: &str| context.link(&format!("{}/{what}", self.page(name)));
        let is_reserved = is_reserved(found);
        let content = html! {
            @if is_reserved { p { "This " (self.what) " is built in and cannot be changed." } }
            @if is_reserved || !may_change {
                pre { (shown) }
            } @else {
                form.stack method="post" action=(action("save")) {
                    (forms::token(context.session()?))
                    (self.editor(&shown))
                    button.primary { "Save" }
                }
            }
            @if may_change {
                p { a href=(context.link(&format!("{}?like={}", self.new, encode(name)))) { "Create another like this" } }
            }
            (below)
            @if may_change && !is_reserved {
                h2 { "Delete" }
                (forms::delete(context, &action("delete"), name)?)
            }
        };
        let title = format!("{} {name}", capital(self.what));
        Ok(layout::page(context, &title, content).await)
    }

    pub async fn save(&self, context: &Context<'_>) -> PageResult {
        let name = context.capture(0)?;
        self.put(context, name).await?;
        let notice = format!("The {} has been saved.", self.what);
        context.done(&self.page(name), notice)
    }

    pub async fn delete(&self, context: &Context<'_>) -> PageResult {
        let name = context.capture(0)?;
        forms::check_name(context, name)?;
        let call = Call::new(Method::DELETE, self.at(name), String::new());
        context.ask(call).await?;
        let notice = format!("The {} {name} has been deleted.", self.what);
        context.done(self.path, notice)
    }

    /// Returns the definition as it is typed.
    fn typed(&self, found: &Value) -> String {
        let mut definition = found.clone();
        if let (Some(fields), Some(told)) = (definition.as_object_mut(), self.only_told) {
            fields.shift_remove(told);
        }
        serde_json::to_string_pretty(&definition).unwrap_or_default()
    }

    async fn put(&self, context: &Context<'_>, name: &str) -> Result<Value, Failure> {
        let definition = forms::json(context.request, "definition")?;
        context
            .ask(Call::json(Method::PUT, self.at(name), &definition))
            .await
    }

    fn editor(&self, definition: &str) -> Markup {
        html! {
            label for="definition" { "Definition" }
            textarea id="definition" name="definition" spellcheck="false" aria-describedby="definition-hint" { (definition) }
            p.hint id="definition-hint" { (self.hint) }
        }
    }
}

/// Returns whether the cluster made it, and keeps it.
pub fn is_reserved(found: &Value) -> bool {
    found["metadata"]["_reserved"] == true
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.clone()).collect()
}
