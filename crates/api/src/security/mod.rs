//! Who may do what. Source: Elasticsearch reference, "Security APIs".

mod api_keys;
mod audit;
mod authenticate;
mod certificates;
mod privileges;
mod query;
mod role_mappings;
mod roles;
mod service_accounts;
mod tokens;
mod users;

pub use api_keys::*;
pub use audit::*;
pub use authenticate::*;
pub use certificates::*;
pub use privileges::*;
pub use query::*;
pub use role_mappings::*;
pub use roles::*;
pub use service_accounts::*;
pub use tokens::*;
pub use users::*;
