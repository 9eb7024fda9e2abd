//! The limits of circuit breakers, from the settings.

use ringwall_base::breaker::{Limit, Limits};
use ringwall_settings::Settings;
use ringwall_settings::registry::breakers;

/// Returns the limits that the settings ask for.
pub fn limits(settings: &Settings) -> Limits {
    Limits {
        total: settings.get(&breakers::TOTAL_LIMIT).bytes(),
        real_memory: settings.get(&breakers::USE_REAL_MEMORY),
        request: Limit {
            bytes: settings.get(&breakers::REQUEST_LIMIT).bytes(),
            overhead: settings.get(&breakers::REQUEST_OVERHEAD),
        },
        in_flight: Limit {
            bytes: settings.get(&breakers::IN_FLIGHT_LIMIT).bytes(),
            overhead: settings.get(&breakers::IN_FLIGHT_OVERHEAD),
        },
    }
}
