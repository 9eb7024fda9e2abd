//! `half_float`: 16 bits.

use super::number::{Floating, Form, Number, PARAMETERS, shown_double};

pub(super) static HALF_FLOAT: Number = Number {
    name: "half_float",
    java: "Half_Float",
    form: Form::Floating(Floating {
        nearest: |_, number| half(number as f32),
        rounds_bounds: true,
        shown: shown_double,
        parameters: PARAMETERS,
        required: None,
    }),
};

/// Rounds to the nearest number of 11 significant bits, ties to even; beyond 65504 is infinite.
fn half(value: f32) -> f64 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff).cast_signed() - 127;
    // Below 2^-14 the precision is absolute.
    let drop = if exponent < -14 {
        13 + (-14 - exponent)
    } else {
        13
    };
    if drop > 24 {
        return 0.0;
    }
    let step = f64::from(2f32).powi(exponent - 23 + drop);
    let rounded = (f64::from(value) / step).round_ties_even() * step;
    // The sign matters to the ends of ranges.
    if rounded.abs() > 65504.0 {
        f64::INFINITY.copysign(rounded)
    } else {
        rounded
    }
}
