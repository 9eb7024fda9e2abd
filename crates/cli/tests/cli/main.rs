//! The real program, called as a user calls it.

mod bench;
mod certificates;
mod certutil_http;
mod certutil_http_ca;
mod certutil_jks;
mod certutil_renew;
mod certutil_rotate;
mod doctor;
mod failures;
mod first_start;
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
mod settings;
mod start;
mod start_failures;
mod terminal;
mod transcripts;
mod users;
