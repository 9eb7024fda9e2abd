//! Values of the settings of allocation: watermarks, switches, filters.

use std::fmt;

use ringwall_base::ByteSizeValue;

use crate::raw::RawValue;
use crate::registry::allocation::{
    DISK_FLOOD_STAGE, DISK_FLOOD_STAGE_HEADROOM, DISK_HIGH, DISK_HIGH_HEADROOM, DISK_LOW,
    DISK_LOW_HEADROOM,
};
use crate::setting::Setting;
use crate::settings::Settings;
use crate::types::{SettingValue, text};

/// From where on a disk is too full.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Watermark {
    /// Used space, 0 to 1.
    Used(f64),
    /// Free space, bytes.
    Free(u64),
}

impl SettingValue for Watermark {
    const KIND: &'static str = "percentage, ratio or size in bytes";

    fn parse(value: &RawValue) -> Result<Self, String> {
        let text = text(value)?.trim();
        let ratio = match text.strip_suffix('%') {
            Some(percent) => percent.parse::<f64>().ok().map(|percent| percent / 100.0),
            None => text.parse::<f64>().ok(),
        };
        match ratio.filter(|ratio| (0.0..=1.0).contains(ratio)) {
            Some(ratio) => Ok(Self::Used(ratio)),
            None => text
                .parse::<ByteSizeValue>()
                .map(|size| Self::Free(size.bytes()))
                .map_err(|_| format!("unable to parse [{text}] as either percentage or bytes")),
        }
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used(ratio) => write!(f, "{}%", ratio * 100.0),
            Self::Free(bytes) => ByteSizeValue::from_bytes(*bytes).fmt(f),
        }
    }
}

/// Free space that is always enough; `None` for no such space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom(pub Option<u64>);

impl SettingValue for Headroom {
    const KIND: &'static str = "size in bytes, or -1";

    fn parse(value: &RawValue) -> Result<Self, String> {
        match text(value)? {
            "-1" => Ok(Self(None)),
            _ => ByteSizeValue::parse(value).map(|size| Self(Some(size.bytes()))),
        }
    }
}

/// The three watermarks together, each with its headroom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watermarks {
    pub low: Bound,
    pub high: Bound,
    pub flood_stage: Bound,
}

/// A watermark, and the free space that is always enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    pub watermark: Watermark,
    pub headroom: Option<u64>,
}

impl Bound {
    fn of(
        settings: &Settings,
        watermark: &Setting<Watermark>,
        headroom: &Setting<Headroom>,
    ) -> Self {
        let has_own = settings.is_set(watermark.key()) && !settings.is_set(headroom.key());
        Self {
            watermark: settings.get(watermark),
            headroom: match has_own {
                true => None,
                false => settings.get(headroom).0,
            },
        }
    }

    /// Returns the free bytes below which a disk of that size is too full.
    pub fn least_free(self, total: u64) -> u64 {
        match self.watermark {
            Watermark::Free(bytes) => bytes,
            Watermark::Used(ratio) => {
                let free = (total as f64 * (1.0 - ratio)) as u64;
                self.headroom.map_or(free, |headroom| free.min(headroom))
            }
        }
    }
}

impl Watermarks {
    /// Returns those in force.
    ///
    /// # Errors
    /// They contradict one another; the text is Elasticsearch's.
    pub fn of(settings: &Settings) -> Result<Self, String> {
        let marks = Self {
            low: Bound::of(settings, &DISK_LOW, &DISK_LOW_HEADROOM),
            high: Bound::of(settings, &DISK_HIGH, &DISK_HIGH_HEADROOM),
            flood_stage: Bound::of(settings, &DISK_FLOOD_STAGE, &DISK_FLOOD_STAGE_HEADROOM),
        };
        marks.check().map(|()| marks)
    }

    fn check(&self) -> Result<(), String> {
        let names = ["low", "high", "flood stage"];
        let bounds = [self.low, self.high, self.flood_stage];
        for (i, pair) in bounds.windows(2).enumerate() {
            let [lower, upper] = [names[i], names[i + 1]];
            let marks = (pair[0].watermark, pair[1].watermark);
            let word = match marks {
                (Watermark::Used(a), Watermark::Used(b)) if a > b => "more",
                (Watermark::Free(a), Watermark::Free(b)) if a < b => "less",
                (Watermark::Used(_), Watermark::Used(_))
                | (Watermark::Free(_), Watermark::Free(_)) => continue,
                _ => return Err(self.mixed()),
            };
            return Err(format!(
                "{lower} disk watermark [{}] {word} than {upper} disk watermark [{}]",
                marks.0, marks.1
            ));
        }
        for (i, pair) in bounds.windows(2).enumerate() {
            if let (Some(a), Some(b)) = (pair[0].headroom, pair[1].headroom)
                && a < b
            {
                return Err(format!(
                    "{} disk max headroom [{}] more than {} disk max headroom [{}]",
                    names[i + 1],
                    ByteSizeValue::from_bytes(b),
                    names[i],
                    ByteSizeValue::from_bytes(a),
                ));
            }
        }
        Ok(())
    }

    fn mixed(&self) -> String {
        format!(
            "unable to consistently parse [{}={}], [{}={}], and [{}={}] as percentage or bytes",
            DISK_LOW.key(),
            self.low.watermark,
            DISK_HIGH.key(),
            self.high.watermark,
            DISK_FLOOD_STAGE.key(),
            self.flood_stage.watermark,
        )
    }
}

/// Declares a switch with a few values, in any case.
macro_rules! switch {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $values:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub String);

        impl SettingValue for $name {
            const KIND: &'static str = $kind;

            fn parse(value: &RawValue) -> Result<Self, String> {
                let text = text(value)?.to_ascii_lowercase();
                let values: &[&str] = &$values;
                match values.contains(&text.as_str()) {
                    true => Ok(Self(text)),
                    false => Err(format!("must be one of [{}]", values.join(", "))),
                }
            }
        }
    };
}

switch!(
    /// Which copies are assigned to nodes.
    AllocationEnable,
    "one of all, primaries, new_primaries, none",
    ["all", "primaries", "new_primaries", "none"]
);

switch!(
    /// Which copies are moved to even out nodes: none, for now.
    RebalanceEnable,
    "none",
    ["none"]
);

/// Values of an attribute of nodes; none means that the filter is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeValues(pub Vec<String>);

impl SettingValue for NodeValues {
    const KIND: &'static str = "list of texts";
    const IS_LIST: bool = true;

    fn parse(value: &RawValue) -> Result<Self, String> {
        let items = value.items().into_iter();
        Ok(Self(items.filter(|item| !item.trim().is_empty()).collect()))
    }

    fn absent() -> Option<Self> {
        Some(Self(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::allocation::DISK_THRESHOLD_ENABLED;

    fn marks(given: &[(&str, &str)]) -> Result<Watermarks, String> {
        let config = tempfile::tempdir().unwrap();
        let lines: Vec<String> = given
            .iter()
            .map(|(name, value)| {
                format!("cluster.routing.allocation.disk.watermark.{name}: \"{value}\"\n")
            })
            .collect();
        std::fs::write(config.path().join("elasticsearch.yml"), lines.concat()).unwrap();
        let settings =
            Settings::load(config.path(), &[], None).map_err(|error| error.to_string())?;
        assert!(settings.get(&DISK_THRESHOLD_ENABLED));
        Watermarks::of(&settings)
    }

    #[test]
    fn a_percentage_is_of_used_space_and_headroom_is_always_enough() {
        let gb = 1 << 30;
        let default = marks(&[]).unwrap();
        assert_eq!(default.low.least_free(100 * gb), 15 * gb);
        assert_eq!(default.low.least_free(10_000 * gb), 200 * gb);
        assert_eq!(default.flood_stage.least_free(10_000 * gb), 100 * gb);
        let own = marks(&[("low", "0.5"), ("high", "60%")]).unwrap();
        assert_eq!(own.low.least_free(10_000 * gb), 5_000 * gb);
        assert_eq!(own.high.least_free(100), 40);
        let bytes = marks(&[("low", "3gb"), ("high", "2gb"), ("flood_stage", "1gb")]).unwrap();
        assert_eq!(bytes.high.least_free(5), 2 * gb);
    }

    #[test]
    fn contradictions_are_told_in_the_words_of_elasticsearch() {
        for (given, expected) in [
            (
                vec![("low", "95%")],
                "low disk watermark [95%] more than high disk watermark [90%]",
            ),
            (
                vec![("low", "1gb"), ("high", "2gb"), ("flood_stage", "1gb")],
                "low disk watermark [1gb] less than high disk watermark [2gb]",
            ),
            (
                vec![("low", "1gb")],
                "unable to consistently parse [cluster.routing.allocation.disk.watermark.low=1gb]",
            ),
            (
                vec![("low.max_headroom", "1gb")],
                "high disk max headroom [150gb] more than low disk max headroom [1gb]",
            ),
            (vec![("low", "101%")], "as either percentage or bytes"),
        ] {
            let error = marks(&given).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
