//! The real program, called as a user calls it.

mod home;
mod init;
mod keystore;
mod procedure;
mod program;
