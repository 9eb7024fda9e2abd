//! Types of fields. Source: Elasticsearch reference, "Field data types".

pub(crate) mod scalar;

/// The type of a leaf field. Source: Elasticsearch reference, "Field data types".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    Text,
    Keyword,
    /// Stored and queried as a keyword.
    Wildcard,
    Long,
    Integer,
    Short,
    Byte,
    UnsignedLong,
    Double,
    Float,
    HalfFloat,
    /// A double, rounded to a multiple of 1 / `scaling_factor`.
    ScaledFloat,
    Boolean,
    Date,
    Ip,
    /// Base64 kept in `_source` only.
    Binary,
    GeoPoint,
}

/// Where the values of a field are in the search index; see [`crate::schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// A text slot, or the overflow field.
    Text,
    /// Raw terms with ordinals: `keyword`, `wildcard`, `ip`.
    Keyword,
    /// Integers and booleans, as `i64`.
    Long,
    /// Floating point, as order-preserving `i64`.
    Double,
    /// Milliseconds since 1970, as `i64`.
    Date,
    /// [`crate::geo::GeoPoint::encode`], `i64` beside the doubles.
    Point,
}

impl FieldType {
    /// Returns the type of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        TYPES
            .iter()
            .find(|(_, type_name)| *type_name == name)
            .map(|(field_type, _)| *field_type)
    }

    /// Returns the name used in mappings.
    pub fn name(self) -> &'static str {
        TYPES
            .iter()
            .find(|(field_type, _)| *field_type == self)
            .map_or("object", |(_, name)| name)
    }

    /// Returns where values are kept, or `None` for `binary`.
    pub fn family(self) -> Option<Family> {
        Some(match self {
            Self::Text => Family::Text,
            Self::Keyword | Self::Wildcard | Self::Ip => Family::Keyword,
            Self::Long
            | Self::Integer
            | Self::Short
            | Self::Byte
            | Self::UnsignedLong
            | Self::Boolean => Family::Long,
            Self::Double | Self::Float | Self::HalfFloat | Self::ScaledFloat => Family::Double,
            Self::Date => Family::Date,
            Self::GeoPoint => Family::Point,
            Self::Binary => return None,
        })
    }

    /// Returns whether values are numbers (not dates, not booleans).
    pub fn is_numeric(self) -> bool {
        self.is_integer() || self.family() == Some(Family::Double)
    }

    /// Returns whether a field of the type can leave out what it cannot read.
    pub(crate) fn may_ignore_malformed(self) -> bool {
        self.is_numeric() || matches!(self, Self::Date | Self::Ip | Self::Boolean | Self::GeoPoint)
    }

    /// Returns whether values are whole numbers.
    pub fn is_integer(self) -> bool {
        matches!(
            self,
            Self::Long | Self::Integer | Self::Short | Self::Byte | Self::UnsignedLong
        )
    }

    /// Returns the least and greatest whole number of the type.
    pub(crate) fn integer_range(self) -> (i128, i128) {
        match self {
            Self::Integer => (i32::MIN.into(), i32::MAX.into()),
            Self::Short => (i16::MIN.into(), i16::MAX.into()),
            Self::Byte => (i8::MIN.into(), i8::MAX.into()),
            Self::UnsignedLong => (0, u64::MAX.into()),
            _ => (i64::MIN.into(), i64::MAX.into()),
        }
    }
}

const TYPES: [(FieldType, &str); 17] = [
    (FieldType::Text, "text"),
    (FieldType::Keyword, "keyword"),
    (FieldType::Wildcard, "wildcard"),
    (FieldType::Long, "long"),
    (FieldType::Integer, "integer"),
    (FieldType::Short, "short"),
    (FieldType::Byte, "byte"),
    (FieldType::UnsignedLong, "unsigned_long"),
    (FieldType::Double, "double"),
    (FieldType::Float, "float"),
    (FieldType::HalfFloat, "half_float"),
    (FieldType::ScaledFloat, "scaled_float"),
    (FieldType::Boolean, "boolean"),
    (FieldType::Date, "date"),
    (FieldType::Ip, "ip"),
    (FieldType::Binary, "binary"),
    (FieldType::GeoPoint, "geo_point"),
];
