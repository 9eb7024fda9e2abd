//! The real program, called as a user calls it.

mod home;
mod init;
mod keystore;
mod passwords;
mod procedure;
mod program;
mod quickstart;
mod reference;
mod running;
mod users;
