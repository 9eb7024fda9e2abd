//! Who may do what.

pub mod api_keys;
pub mod authenticate;
pub mod certificates;
pub mod enroll;
pub mod privileges;
pub mod query;
pub mod role_mappings;
pub mod roles;
pub mod service_accounts;
pub mod tokens;
pub mod users;
