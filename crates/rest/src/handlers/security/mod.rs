//! Who may do what.

pub mod api_keys;
pub mod audit;
mod authenticate;
mod certificates;
mod fields;
pub mod privileges;
pub mod query;
pub mod role_mappings;
pub mod roles;
pub mod service_accounts;
pub mod tokens;
mod users;

pub use authenticate::*;
pub use certificates::*;
pub use fields::*;
pub use users::*;
