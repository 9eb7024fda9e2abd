//! `long`, `integer`, `short` and `byte`.

use super::number::{Form, Number};

const fn signed(name: &'static str, java: &'static str, greatest: i64) -> Number {
    let greatest = greatest as i128;
    Number {
        name,
        java,
        form: Form::Whole {
            least: -greatest - 1,
            greatest,
        },
    }
}

pub(super) static LONG: Number = signed("long", "Long", i64::MAX);
pub(super) static INTEGER: Number = signed("integer", "Integer", i32::MAX as i64);
pub(super) static SHORT: Number = signed("short", "Short", i16::MAX as i64);
pub(super) static BYTE: Number = signed("byte", "Byte", i8::MAX as i64);
