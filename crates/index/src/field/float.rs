//! `double` and `float`.

use serde_json::Value;

use super::number::{Floating, Form, Number, PARAMETERS, shown_double};

pub(super) static DOUBLE: Number = Number {
    name: "double",
    java: "Double",
    form: Form::Floating(Floating {
        nearest: |_, number| number,
        rounds_bounds: false,
        shown: shown_double,
        parameters: PARAMETERS,
        required: None,
    }),
};

pub(super) static FLOAT: Number = Number {
    name: "float",
    java: "Float",
    form: Form::Floating(Floating {
        nearest: |_, number| f64::from(number as f32),
        rounds_bounds: true,
        shown: |text| text.parse::<f32>().ok().map(Value::from),
        parameters: PARAMETERS,
        required: None,
    }),
};
