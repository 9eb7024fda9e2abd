//! The real program, called as a user calls it.

mod certutil_http;
mod home;
mod init;
mod judges;
mod keystore;
mod passwords;
mod procedure;
mod program;
mod quickstart;
mod reference;
mod running;
mod users;
