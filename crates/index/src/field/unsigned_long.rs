//! `unsigned_long`.

use super::number::{Form, Number};

pub(super) static UNSIGNED_LONG: Number = Number {
    name: "unsigned_long",
    java: "Unsigned_Long",
    form: Form::Unsigned,
};
