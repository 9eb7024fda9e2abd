//! `scaled_float`: a double, rounded to a multiple of 1 / `scaling_factor`.

use super::number::{Floating, Form, Number, shown_double};
use super::parameter::{self as p, Change, Parameter};
use crate::mapping::{java_text, mapping_error};

pub(super) static SCALED_FLOAT: Number = Number {
    name: "scaled_float",
    java: "Double",
    form: Form::Floating(Floating {
        nearest: |field, number| (number * field.scaling_factor).round() / field.scaling_factor,
        rounds_bounds: false,
        shown: shown_double,
        parameters: PARAMETERS,
        required: Some("scaling_factor"),
    }),
};

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    p::NULL_VALUE,
    SCALING_FACTOR,
    p::IGNORE_MALFORMED,
    p::COERCE,
];

const SCALING_FACTOR: Parameter = Parameter {
    name: "scaling_factor",
    read: |field, _, value| {
        let factor = value.as_f64();
        let factor = factor.filter(|factor| *factor > 0.0 && factor.is_finite());
        field.scaling_factor = factor.ok_or_else(|| {
            mapping_error(format!(
                "[scaling_factor] must be a positive number, got [{}]",
                java_text(value)
            ))
        })?;
        Ok(())
    },
    value: |field| field.scaling_factor.into(),
    change: Change::Refused,
    ..p::PARAMETER
};
