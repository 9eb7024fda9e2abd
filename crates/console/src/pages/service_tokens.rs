//! `/service-tokens`: tokens of service accounts. A token is shown once, when it is made.

use futures::future::try_join_all;
use http::{Method, StatusCode};
use maud::html;
use ringwall_base::SecretString;

use super::overview::text;
use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::listing::{Listed, Listing};
use crate::rights::{self, MANAGE_SERVICE_TOKENS};
use crate::urlencoded::encode;
use crate::{forms, layout};

pub async fn list(context: &Context<'_>) -> PageResult {
    let tokens = tokens(context).await?;
    let listed = Listed::of(context.request, tokens.iter(), |token| {
        token.qualified.as_str()
    });
    let may_delete = rights::suffice(&*context.privileges().await, MANAGE_SERVICE_TOKENS);
    let listing = Listing {
        title: "Service tokens",
        path: "/service-tokens",
        caption: "Tokens of service accounts",
        heads: &["Account and name", "Kept", ""],
        create: Some(("/new-service-token", "Create a service token")),
        switch: None,
    };
    let row = |token: &&Token| {
        html! {
            th scope="row" { (token.qualified) }
            td {
                @if token.nodes.is_empty() { "by the cluster" }
                @else { "in the file service_tokens of " (token.nodes) }
            }
            td {
                @if token.nodes.is_empty() && may_delete {
                    a href=(context.link(&token.page())) aria-label={ "Delete the token " (token.qualified) } { "Delete" }
                }
            }
        }
    };
    listing.page(context, &listed, html! {}, row).await
}

struct Token {
    account: String,
    name: String,
    /// Account and name.
    qualified: String,
    /// The nodes that have it in a file; empty for one that the cluster keeps.
    nodes: String,
}

impl Token {
    fn new(account: &str, name: &str, nodes: String) -> Self {
        Self {
            account: account.to_owned(),
            name: name.to_owned(),
            qualified: format!("{account}/{name}"),
            nodes,
        }
    }

    fn page(&self) -> String {
        format!("/service-tokens/{}/{}", self.account, encode(&self.name))
    }
}

/// Asks for the tokens of every account.
async fn tokens(context: &Context<'_>) -> Result<Vec<Token>, Failure> {
    let accounts = accounts(context).await?;
    let asked = accounts.iter().map(async |account| {
        let path = format!("{}/credential", api(account));
        Ok::<_, Failure>((account, context.ask(Call::get(path)).await?))
    });
    let mut tokens = Vec::new();
    for (account, answer) in try_join_all(asked).await? {
        let kept = answer["tokens"].as_object().into_iter().flatten();
        tokens.extend(kept.map(|(name, _)| Token::new(account, name, String::new())));
        let files = &answer["nodes_credentials"]["file_tokens"];
        let files = files.as_object().into_iter().flatten();
        tokens.extend(
            files.map(|(name, file)| Token::new(account, name, forms::join(&file["nodes"]))),
        );
    }
    Ok(tokens)
}

async fn accounts(context: &Context<'_>) -> Result<Vec<String>, Failure> {
    let answer = context.ask(Call::get("/_security/service")).await?;
    let accounts = answer.as_object().into_iter().flatten();
    Ok(accounts.map(|(name, _)| name.clone()).collect())
}

pub async fn new(context: &Context<'_>) -> PageResult {
    let accounts = accounts(context).await?;
    let content = html! {
        form.stack method="post" action=(context.link("/new-service-token")) {
            (forms::token(context.session()?))
            label for="account" { "Service account" }
            select id="account" name="account" {
                @for account in &accounts { option value=(account) { (account) } }
            }
            label for="name" { "Name of the token" }
            input id="name" name="name" required autocomplete="off" aria-describedby="name-hint";
            p.hint id="name-hint" { "Letters, digits, - and _; it tells what the token is for." }
            button.primary { "Create" }
        }
    };
    Ok(layout::page(context, "Create a service token", content).await)
}

/// Makes a token and shows it, this once.
pub async fn create(context: &Context<'_>) -> PageResult {
    let request = context.request;
    let (account, name) = (request.form("account"), request.form("name").trim());
    if name.is_empty() || !is_account(account) {
        let reason = "A token needs an account and a name.";
        return Err(Failure::Refused(StatusCode::BAD_REQUEST, reason.into()));
    }
    let path = format!("{}/credential/token/{}", api(account), encode(name));
    let made = context
        .ask_unshown(Call::new(Method::POST, path, String::new()))
        .await?;
    let value = SecretString::new(text(&made["token"]["value"]));
    let content = html! {
        p.warning role="status" { "Copy the token now: it is shown this once, and the cluster keeps only its hash." }
        dl.diagnosis {
            dt { "Token" }
            dd { (account) "/" (text(&made["token"]["name"])) }
            dt { "Value" }
            dd { pre tabindex="0" aria-label="The value of the token" { (value.expose()) } }
            dt { "For the Authorization header" }
            dd { pre tabindex="0" { "Authorization: Bearer " (value.expose()) } }
            @if account == "elastic/kibana" {
                dt { "For a console, after this command" }
                dd { pre tabindex="0" { "bin/kibana-keystore add elasticsearch.serviceAccountToken" } }
            }
        }
        p { a href=(context.link("/service-tokens")) { "Back to the tokens" } }
    };
    Ok(layout::page(context, "The token", content).await)
}

/// One token, to be deleted.
pub async fn show(context: &Context<'_>) -> PageResult {
    let (account, name) = named(context)?;
    let answer = context
        .ask(Call::get(format!("{}/credential", api(&account))))
        .await?;
    if answer["tokens"].get(name).is_none() {
        return Err(Failure::NotFound);
    }
    let action = format!("{}/delete", context.request.path);
    let content = html! {
        p { "What uses the token can no longer log in once it is deleted." }
        (forms::delete(context, &context.link(&action), name)?)
    };
    Ok(layout::page(context, &format!("Token {account}/{name}"), content).await)
}

pub async fn delete(context: &Context<'_>) -> PageResult {
    let (account, name) = named(context)?;
    forms::check_name(context, name)?;
    let path = format!("{}/credential/token/{}", api(&account), encode(name));
    context
        .ask(Call::new(Method::DELETE, path, String::new()))
        .await?;
    let notice = format!("The token {account}/{name} has been deleted.");
    context.done("/service-tokens", notice)
}

/// Returns the account and the name of the token in the path.
fn named<'a>(context: &'a Context<'_>) -> Result<(String, &'a str), Failure> {
    let account = format!("{}/{}", context.capture(0)?, context.capture(1)?);
    match is_account(&account) {
        true => Ok((account, context.capture(2)?)),
        false => Err(Failure::NotFound),
    }
}

/// Returns whether it is a namespace and a service.
fn is_account(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.split_once('/')
        .is_some_and(|(namespace, service)| is_part(namespace) && is_part(service))
}

fn api(account: &str) -> String {
    format!("/_security/service/{account}")
}
