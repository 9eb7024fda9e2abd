//! Forms of bodies and answers beside JSON: YAML, CBOR and SMILE. Handlers know JSON alone. What comes in another form is
//! written as JSON before a handler sees it, and an answer is rewritten after it. Source: Elasticsearch reference, "REST
//! API conventions" (content type), Elasticsearch 8.19, asked.

mod read;
mod write;

pub use self::read::to_json;
pub use self::write::write;

/// A form of structured data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Json,
    Yaml,
    Cbor,
    Smile,
}

impl Format {
    /// Returns what a media type without parameters stands for, in lower case.
    pub fn of_media_type(essence: &str) -> Option<Self> {
        let subtype = essence.strip_prefix("application/")?;
        match subtype
            .strip_prefix("vnd.elasticsearch+")
            .unwrap_or(subtype)
        {
            "json" => Some(Self::Json),
            "yaml" => Some(Self::Yaml),
            "cbor" => Some(Self::Cbor),
            "smile" => Some(Self::Smile),
            _ => None,
        }
    }

    /// Returns what a value of the parameter `format` stands for.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "yaml" => Some(Self::Yaml),
            "cbor" => Some(Self::Cbor),
            "smile" => Some(Self::Smile),
            _ => None,
        }
    }

    /// Returns its name in media types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Cbor => "cbor",
            Self::Smile => "smile",
        }
    }
}
