//! One module per tool. Each has its arguments and a `run` that talks only to the terminal it is given.

mod auto_configuration;
pub mod certutil;
pub mod console;
pub mod doctor;
pub mod enrollment;
mod ephemeral;
pub mod init;
pub mod keystore;
pub mod nodes;
mod online;
pub mod quickstart;
pub mod reconfigure_node;
pub mod reset_password;
pub mod service_tokens;
pub mod settings;
pub mod setup_passwords;
pub mod start;
pub mod users;
