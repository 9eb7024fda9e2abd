//! A file for each page. Each reads its request, asks the cluster as the user, and returns markup.

pub mod api_keys;
pub mod certificates;
pub mod cluster;
pub mod dev_tools;
pub mod discover;
pub mod home;
pub mod index;
pub mod indices;
pub mod login;
pub mod overview;
pub mod role_mappings;
pub mod roles;
pub mod service_tokens;
pub mod sessions;
pub mod templates;
pub mod users;
