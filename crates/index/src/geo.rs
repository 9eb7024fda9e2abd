//! Points on the earth: how they are written, and how they are kept. Source: Elasticsearch reference, "Geopoint field
//! type"; Lucene's `GeoEncodingUtils` for the precision of what is kept.

use serde_json::{Map, Value};

/// A point, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoPoint {
    pub lat: f64,
    pub lon: f64,
}

/// What of a list of coordinates may be given: longitude, latitude and a height that nothing looks at.
const COORDINATES: std::ops::RangeInclusive<usize> = 2..=3;

impl GeoPoint {
    /// Reads a point: an object of `lat` and `lon` or GeoJSON, `[lon, lat]`, `"lat,lon"`, `"POINT (lon lat)"` or a
    /// geohash. Whether it lies on the earth is not looked at, see [`GeoPoint::check`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::Object(members) => Self::of_object(members),
            Value::Array(items) => Self::of_list(items),
            Value::String(text) => Self::of_text(text),
            _ => Err("geo_point expected".to_owned()),
        }
    }

    /// Reads one point, or a list of them.
    ///
    /// # Errors
    /// As [`GeoPoint::parse`].
    pub fn parse_all(value: &Value) -> Result<Vec<Self>, String> {
        match value {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) if !items.first().is_some_and(Value::is_number) => {
                let items = items.iter().filter(|item| !item.is_null());
                items.map(Self::parse).collect()
            }
            one => Self::parse(one).map(|point| vec![point]),
        }
    }

    fn of_object(members: &Map<String, Value>) -> Result<Self, String> {
        let known = ["lon", "lat", "z", "type", "coordinates"];
        if let Some(unknown) = members.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!(
                "field [{unknown}] not supported - must be one of: {}",
                known.join(", ")
            ));
        }
        if let Some(coordinates) = members.get("coordinates") {
            let is_point = members
                .get("type")
                .and_then(Value::as_str)
                .is_some_and(|name| name.eq_ignore_ascii_case("point"));
            return match coordinates {
                Value::Array(items) if is_point => Self::of_list(items),
                _ => Err("[type] for geo_point can only be 'Point'".to_owned()),
            };
        }
        let number = |key: &str, name: &str| {
            let value = members
                .get(key)
                .ok_or_else(|| format!("Required [{key}]"))?;
            let number = match value {
                Value::String(text) => text.trim().parse().ok(),
                other => other.as_f64(),
            };
            number.ok_or_else(|| format!("[{name}] must be a valid double value"))
        };
        Ok(Self {
            lat: number("lat", "latitude")?,
            lon: number("lon", "longitude")?,
        })
    }

    fn of_list(items: &[Value]) -> Result<Self, String> {
        let numbers: Option<Vec<f64>> = items.iter().map(Value::as_f64).collect();
        match numbers.as_deref() {
            Some([lon, lat] | [lon, lat, _]) => Ok(Self {
                lat: *lat,
                lon: *lon,
            }),
            Some(numbers) => Err(format!(
                "failed to parse [{}], expected 2 or 3 coordinates",
                numbers.len()
            )),
            None => Err("numeric value expected".to_owned()),
        }
    }

    fn of_text(text: &str) -> Result<Self, String> {
        if let Some(inner) = text
            .trim()
            .get(..5)
            .filter(|start| start.eq_ignore_ascii_case("point"))
            .map(|_| text.trim()[5..].trim())
        {
            let inner = inner.trim_start_matches(['z', 'Z']).trim();
            let inner = inner.strip_prefix('(').and_then(|i| i.strip_suffix(')'));
            let numbers: Option<Vec<f64>> =
                inner.and_then(|inner| inner.split_whitespace().map(|n| n.parse().ok()).collect());
            return match numbers.as_deref() {
                Some([lon, lat] | [lon, lat, _]) => Ok(Self {
                    lat: *lat,
                    lon: *lon,
                }),
                _ => Err(format!(
                    "failed to parse WKT [{text}], expected POINT (lon lat)"
                )),
            };
        }
        if !text.contains(',') {
            return Self::of_geohash(text.trim());
        }
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if !COORDINATES.contains(&parts.len()) {
            return Err(format!(
                "failed to parse [{}], expected 2 or 3 coordinates",
                parts.len()
            ));
        }
        let number = |text: &str, name: &str| {
            let number = text.parse::<f64>().ok();
            number.ok_or_else(|| format!("{name} must be a number"))
        };
        Ok(Self {
            lat: number(parts[0], "latitude")?,
            lon: number(parts[1], "longitude")?,
        })
    }

    /// The cell's corner of least coordinates, as Elasticsearch takes it. Source: G. Niemeyer, "Geohash".
    fn of_geohash(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty geohash".to_owned());
        }
        if text.chars().count() > MAX_GEOHASH {
            return Err(format!("geohash [{text}] is longer than [{MAX_GEOHASH}]"));
        }
        let (mut lat, mut lon) = ((-90.0, 90.0), (-180.0, 180.0));
        let mut is_lon = true;
        for symbol in text.chars() {
            let lower = symbol.to_ascii_lowercase();
            let bits = GEOHASH.iter().position(|s| char::from(*s) == lower);
            let bits =
                bits.ok_or_else(|| format!("unsupported symbol [{symbol}] in geohash [{text}]"))?;
            for bit in (0..5).rev() {
                let range: &mut (f64, f64) = match is_lon {
                    true => &mut lon,
                    false => &mut lat,
                };
                let middle = f64::midpoint(range.0, range.1);
                match bits >> bit & 1 {
                    1 => range.0 = middle,
                    _ => range.1 = middle,
                }
                is_lon = !is_lon;
            }
        }
        Ok(Self {
            lat: lat.0,
            lon: lon.0,
        })
    }

    /// Checks that the point lies on the earth.
    ///
    /// # Errors
    /// Which coordinate does not.
    pub fn check(&self, field: &str) -> Result<(), String> {
        if !(-90.0..=90.0).contains(&self.lat) {
            return Err(format!(
                "illegal latitude value [{:?}] for {field}",
                self.lat
            ));
        }
        if !(-180.0..=180.0).contains(&self.lon) {
            return Err(format!(
                "illegal longitude value [{:?}] for {field}",
                self.lon
            ));
        }
        Ok(())
    }

    /// Returns the form that a column keeps: 32 bits for each coordinate, the latitude above.
    pub fn encode(&self) -> i64 {
        let cell = |degrees: f64, whole: f64| {
            // The last value of the range belongs to the last cell.
            let cell = (degrees / (whole / CELLS)).floor();
            (cell as i64).clamp(i64::from(i32::MIN), i64::from(i32::MAX))
        };
        (cell(self.lat, 180.0) << 32) | (cell(self.lon, 360.0) & 0xffff_ffff)
    }

    /// Returns the point of [`GeoPoint::encode`], at the corner of its cell of about a centimetre.
    pub fn decode(encoded: i64) -> Self {
        let lat = (encoded >> 32) as f64 * (180.0 / CELLS);
        let lon = f64::from(encoded as i32) * (360.0 / CELLS);
        Self { lat, lon }
    }

    /// Returns the distance along the surface of the earth, metres. Source: the haversine formula.
    pub fn distance(&self, other: &Self) -> f64 {
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let along = half(self.lat - other.lat)
            + self.lat.to_radians().cos()
                * other.lat.to_radians().cos()
                * half(self.lon - other.lon);
        2.0 * EARTH_RADIUS * along.sqrt().min(1.0).asin()
    }
}

/// The mean radius, metres.
const EARTH_RADIUS: f64 = 6_371_008.771_4;
const CELLS: f64 = 4_294_967_296.0;
const GEOHASH: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
const MAX_GEOHASH: usize = 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn points_are_read_in_every_form() {
        let point = GeoPoint {
            lat: 41.12,
            lon: -71.34,
        };
        for value in [
            json!({"lat": 41.12, "lon": -71.34}),
            json!({"lat": "41.12", "lon": "-71.34", "z": 5}),
            json!("41.12,-71.34"),
            json!("41.12, -71.34, 7"),
            json!([-71.34, 41.12]),
            json!([-71.34, 41.12, 30]),
            json!("POINT (-71.34 41.12)"),
            json!({"type": "Point", "coordinates": [-71.34, 41.12]}),
        ] {
            assert_eq!(GeoPoint::parse(&value), Ok(point), "{value}");
        }
        let hashed = GeoPoint::parse(&json!("drm3btev3e86")).unwrap();
        // As a real Elasticsearch reads it.
        assert_eq!(hashed.lat, 41.119999922811985);
        assert_eq!(hashed.lon, -71.34000029414892);
        let several = json!([[10, 20], {"lat": 1, "lon": 2}, "3,4", null]);
        assert_eq!(GeoPoint::parse_all(&several).unwrap().len(), 3);
        assert_eq!(GeoPoint::parse_all(&json!([])).unwrap().len(), 0);
    }

    #[test]
    fn what_is_no_point_says_why() {
        for (value, part) in [
            (json!({"lat": 0}), "Required [lon]"),
            (
                json!({"lat": "a", "lon": 1}),
                "[latitude] must be a valid double value",
            ),
            (json!({"geohash": "x"}), "field [geohash] not supported"),
            (
                json!("foo bar"),
                "unsupported symbol [o] in geohash [foo bar]",
            ),
            (json!("1,2,3,4"), "expected 2 or 3 coordinates"),
            (json!(12), "geo_point expected"),
            (json!(true), "geo_point expected"),
            (json!([1]), "expected 2 or 3 coordinates"),
            (json!("POINT (1)"), "failed to parse WKT"),
        ] {
            let reason = GeoPoint::parse(&value).unwrap_err();
            assert!(reason.contains(part), "{value}: {reason}");
        }
        let beyond = GeoPoint {
            lat: 91.0,
            lon: 0.0,
        };
        assert_eq!(
            beyond.check("p").unwrap_err(),
            "illegal latitude value [91.0] for p"
        );
    }

    #[test]
    fn what_is_kept_is_what_elasticsearch_keeps() {
        let kept = GeoPoint::decode(
            GeoPoint {
                lat: 41.12,
                lon: -71.34,
            }
            .encode(),
        );
        assert_eq!((kept.lat, kept.lon), (41.1199999647215, -71.34000004269183));
        let from = GeoPoint {
            lat: 41.0,
            lon: -71.0,
        };
        assert!((from.distance(&kept) - 31_475.113_454_432).abs() < 1e-3);
    }

    proptest! {
        #[test]
        fn points_keep_their_place(lat in -90.0..=90.0f64, lon in -180.0..=180.0f64) {
            let kept = GeoPoint::decode(GeoPoint { lat, lon }.encode());
            prop_assert!(kept.check("p").is_ok());
            prop_assert!((kept.lat - lat).abs() < 1e-7 && (kept.lon - lon).abs() < 1e-7);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = GeoPoint::parse(&Value::String(text));
        }
    }
}
