//! The analyzers of an index: those of its settings and those that are always there. Source: Elasticsearch reference,
//! "Configure text analysis".

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use ringwall_api::ApiError;
use serde_json::{Map, Value, json};

use super::chain::{Chain, Part};
use super::params::{Limits, Params};
use super::{Analyzer, char_filters, filters, tokenizers};
use crate::similarity::Similarities;

/// The analyzers and normalizers of an index.
#[derive(Debug, Default)]
pub struct Analysis {
    analyzers: BTreeMap<String, Analyzer>,
    normalizers: BTreeMap<String, Arc<Chain>>,
    definitions: Definitions,
    similarities: Similarities,
}

/// What the settings define, by kind and name.
#[derive(Debug, Default, Clone)]
struct Definitions {
    parts: Map<String, Value>,
    limits: Limits,
}

/// Kinds of parts, as settings and errors name them.
const ANALYZER: &str = "analyzer";
const NORMALIZER: &str = "normalizer";
const TOKENIZER: &str = "tokenizer";
const FILTER: &str = "filter";
const CHAR_FILTER: &str = "char_filter";

impl Analysis {
    /// Reads `index.analysis`: `{"analyzer": {...}, "filter": {...}, ...}`; null for none.
    ///
    /// # Errors
    /// 400 for what does not exist, or is not supported here, by its name.
    pub fn parse(settings: &Value, limits: Limits) -> Result<Self, ApiError> {
        let parts = match settings {
            Value::Null => Map::new(),
            Value::Object(parts) => parts.clone(),
            other => {
                return Err(ApiError::illegal_argument(format!(
                    "[index.analysis] must be an object, but is [{other}]"
                )));
            }
        };
        let definitions = Definitions { parts, limits };
        let mut analysis = Self::default();
        definitions.check_parts()?;
        for (name, given) in definitions.of(ANALYZER)? {
            let analyzer = definitions.analyzer(name, given)?;
            analysis.analyzers.insert(name.clone(), analyzer);
        }
        for (name, given) in definitions.of(NORMALIZER)? {
            let normalizer = definitions.normalizer(name, given)?;
            analysis
                .normalizers
                .insert(name.clone(), Arc::new(normalizer));
        }
        analysis.definitions = definitions;
        Ok(analysis)
    }

    /// Returns the same with the similarities of an index.
    pub fn scored_by(self, similarities: Similarities) -> Self {
        Self {
            similarities,
            ..self
        }
    }

    /// Returns the similarities of the index.
    pub fn similarities(&self) -> &Similarities {
        &self.similarities
    }

    /// Returns the one without analyzers of its own.
    pub fn none() -> &'static Arc<Self> {
        static NONE: LazyLock<Arc<Analysis>> = LazyLock::new(Arc::default);
        &NONE
    }

    /// Returns the analyzer that the settings define by this name.
    pub fn own(&self, name: &str) -> Option<Analyzer> {
        self.analyzers.get(name).cloned()
    }

    /// Returns the analyzer of this name.
    pub fn analyzer(&self, name: &str) -> Option<Analyzer> {
        let own = self.analyzers.get(name).cloned();
        own.or_else(|| Analyzer::from_name(name))
    }

    /// Returns the normalizer of this name.
    pub fn normalizer(&self, name: &str) -> Option<Arc<Chain>> {
        if let Some(own) = self.normalizers.get(name) {
            return Some(Arc::clone(own));
        }
        static LOWERCASE: LazyLock<Option<Arc<Chain>>> = LazyLock::new(|| {
            let given = json!({"filter": ["lowercase"]});
            let chain = Definitions::default().normalizer("lowercase", &given);
            chain.ok().map(Arc::new)
        });
        LOWERCASE.clone().filter(|_| name == "lowercase")
    }

    /// Returns an analyzer of parts that a request names or describes.
    ///
    /// # Errors
    /// 400 for one that there is not.
    pub fn assemble(&self, asked: &Assembly) -> Result<Chain, ApiError> {
        let user = User::Request {
            has_index: asked.has_index,
        };
        let tokenizer = match &asked.tokenizer {
            Some(tokenizer) => tokenizer.clone(),
            None => Value::from("keyword"),
        };
        let definitions = &self.definitions;
        let is_normalizer = asked.tokenizer.is_none();
        let chain = Chain {
            name: String::new(),
            definition: String::new(),
            tokenizer: definitions.tokenizer(&tokenizer, &user)?,
            char_filters: definitions.char_filters(&asked.char_filters, &user, is_normalizer)?,
            filters: definitions.filters(&asked.filters, &user, is_normalizer)?,
            is_custom: true,
            gap: None,
            most: definitions.limits.bytes,
        };
        definitions.checked(chain)
    }
}

/// Parts that a request names, or describes by objects.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    /// `None`: a normalizer.
    pub tokenizer: Option<Value>,
    pub char_filters: Vec<Value>,
    pub filters: Vec<Value>,
    /// For the words of errors.
    pub has_index: bool,
}

/// Who names a part that may not be there.
enum User<'a> {
    Analyzer(&'a str),
    Normalizer(&'a str),
    Request { has_index: bool },
}

impl User<'_> {
    fn not_found(&self, kind: &str, name: &str) -> ApiError {
        ApiError::illegal_argument(match self {
            User::Analyzer(user) | User::Normalizer(user) => {
                format!("Custom Analyzer [{user}] failed to find {kind} under name [{name}]")
            }
            User::Request { has_index: true } => format!("failed to find {kind} under [{name}]"),
            User::Request { has_index: false } => {
                format!("failed to find global {kind} under [{name}]")
            }
        })
    }

    fn may_not_use(&self, kind: &str, name: &str) -> ApiError {
        ApiError::illegal_argument(match self {
            User::Normalizer(user) => {
                format!("Custom normalizer [{user}] may not use {kind} [{name}]")
            }
            _ => format!("Custom normalizer may not use {kind} [{name}]"),
        })
    }
}

impl Definitions {
    fn of(&self, kind: &str) -> Result<impl Iterator<Item = (&String, &Value)>, ApiError> {
        match self.parts.get(kind) {
            None | Some(Value::Null) => Ok(None.into_iter().flatten()),
            Some(Value::Object(named)) => Ok(Some(named.iter()).into_iter().flatten()),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "[index.analysis.{kind}] must be an object, but is [{other}]"
            ))),
        }
    }

    fn get(&self, kind: &str, name: &str) -> Option<&Map<String, Value>> {
        self.parts.get(kind)?.get(name)?.as_object()
    }

    /// Builds every part by itself: one that nobody uses may be wrong, too.
    fn check_parts(&self) -> Result<(), ApiError> {
        let known = [ANALYZER, NORMALIZER, TOKENIZER, FILTER, CHAR_FILTER];
        if let Some(unknown) = self
            .parts
            .keys()
            .find(|kind| !known.contains(&kind.as_str()))
        {
            return Err(ApiError::illegal_argument(format!(
                "[index.analysis.{unknown}] is not supported by Ringwall"
            )));
        }
        for (name, given) in self.of(TOKENIZER)? {
            self.build_tokenizer(name, members(TOKENIZER, name, given)?)?;
        }
        for (name, given) in self.of(FILTER)? {
            self.build_filter(name, members(FILTER, name, given)?, false)?;
        }
        for (name, given) in self.of(CHAR_FILTER)? {
            self.build_char_filter(name, members(CHAR_FILTER, name, given)?)?;
        }
        Ok(())
    }

    /// Makes the filters of a chain that read rules, and bounds its parts.
    fn checked(&self, chain: Chain) -> Result<Chain, ApiError> {
        let parts = chain.char_filters.len() + chain.filters.len();
        if parts > MAX_PARTS {
            return Err(ApiError::illegal_argument(format!(
                "[{}]: an analyzer of more than [{MAX_PARTS}] filters is not supported by Ringwall: there are [{parts}]",
                chain.name
            )));
        }
        chain.prepared()
    }

    fn build_tokenizer(&self, name: &str, given: &Map<String, Value>) -> tokenizers::Built {
        let kind = type_of(TOKENIZER, name, given)?;
        let Some((_, build)) = tokenizers::KINDS.iter().find(|(known, _)| *known == kind) else {
            return Err(unknown(TOKENIZER, &kind, name, tokenizers::ABSENT));
        };
        let params = Params::new(TOKENIZER, &kind, name, given, self.limits);
        let built = build(&params)?;
        params.finish()?;
        Ok(built)
    }

    fn build_filter(
        &self,
        name: &str,
        given: &Map<String, Value>,
        is_plain: bool,
    ) -> filters::Built {
        let kind = type_of(FILTER, name, given)?;
        let Some(known) = filters::KINDS.iter().find(|known| known.name == kind) else {
            return Err(unknown(FILTER, &kind, name, filters::ABSENT));
        };
        let mut params = Params::new(FILTER, &kind, name, given, self.limits);
        params.is_plain = is_plain;
        let built = (known.build)(&params)?;
        params.finish()?;
        Ok(built)
    }

    fn build_char_filter(&self, name: &str, given: &Map<String, Value>) -> char_filters::Built {
        let kind = type_of(CHAR_FILTER, name, given)?;
        let Some((_, _, build)) = char_filters::KINDS
            .iter()
            .find(|(known, ..)| *known == kind)
        else {
            return Err(unknown(CHAR_FILTER, &kind, name, char_filters::ABSENT));
        };
        let params = Params::new(CHAR_FILTER, &kind, name, given, self.limits);
        let built = build(&params)?;
        params.finish()?;
        Ok(built)
    }

    /// Returns a part's name, its definition, and whether nobody has written that.
    fn resolve(
        &self,
        kind: &'static str,
        asked: &Value,
        user: &User<'_>,
    ) -> Result<(String, Map<String, Value>, bool), ApiError> {
        match asked {
            Value::String(name) => {
                // A kind is also the name of the part that has nothing set.
                let plain = || Map::from_iter([("type".to_owned(), name.as_str().into())]);
                let own = self.get(kind, name).cloned();
                let is_plain = own.is_none();
                Ok((name.clone(), own.unwrap_or_else(plain), is_plain))
            }
            Value::Object(given) if matches!(user, User::Request { .. }) => {
                let name = given.get("type").and_then(Value::as_str);
                let name = name.ok_or_else(|| {
                    ApiError::illegal_argument(format!(
                        "Missing [type] setting for anonymous {kind}: {asked}"
                    ))
                })?;
                Ok((format!("__anonymous__{name}"), given.clone(), false))
            }
            other => Err(ApiError::illegal_argument(format!(
                "a {kind} is named by a text, not by [{other}]"
            ))),
        }
    }

    fn tokenizer(
        &self,
        asked: &Value,
        user: &User<'_>,
    ) -> Result<Part<dyn tokenizers::Tokenizer>, ApiError> {
        let (name, given, _) = self.resolve(TOKENIZER, asked, user)?;
        let kind = type_of(TOKENIZER, &name, &given)?;
        let is_known = tokenizers::KINDS.iter().any(|(known, _)| *known == kind);
        if !is_known && !tokenizers::ABSENT.contains(&kind.as_str()) {
            return Err(user.not_found(TOKENIZER, &kind));
        }
        let part = self.build_tokenizer(&name, &given)?;
        Ok(Part { name, part })
    }

    fn char_filters(
        &self,
        asked: &[Value],
        user: &User<'_>,
        normalizes: bool,
    ) -> Result<Vec<Part<dyn char_filters::CharFilter>>, ApiError> {
        let one = |asked: &Value| {
            let (name, given, _) = self.resolve(CHAR_FILTER, asked, user)?;
            let kind = type_of(CHAR_FILTER, &name, &given)?;
            match char_filters::KINDS
                .iter()
                .find(|(known, ..)| *known == kind)
            {
                None => return Err(user.not_found(CHAR_FILTER, &kind)),
                Some((_, false, _)) if normalizes => {
                    return Err(user.may_not_use("char filter", &name));
                }
                Some(_) => {}
            }
            let part = self.build_char_filter(&name, &given)?;
            Ok(Part { name, part })
        };
        asked.iter().map(one).collect()
    }

    fn filters(
        &self,
        asked: &[Value],
        user: &User<'_>,
        normalizes: bool,
    ) -> Result<Vec<Part<dyn filters::TokenFilter>>, ApiError> {
        let one = |asked: &Value| {
            let (name, given, is_plain) = self.resolve(FILTER, asked, user)?;
            let kind = type_of(FILTER, &name, &given)?;
            match filters::KINDS.iter().find(|known| known.name == kind) {
                None if !filters::ABSENT.contains(&kind.as_str()) => {
                    return Err(user.not_found(FILTER, &kind));
                }
                Some(known) if normalizes && !known.normalizes => {
                    return Err(user.may_not_use(FILTER, &name));
                }
                _ => {}
            }
            let part = self.build_filter(&name, &given, is_plain)?;
            Ok(Part { name, part })
        };
        asked.iter().map(one).collect()
    }

    fn analyzer(&self, name: &str, given: &Value) -> Result<Analyzer, ApiError> {
        let given = members(ANALYZER, name, given)?;
        let kind = match given.get("type").and_then(Value::as_str) {
            Some(kind) => kind.to_owned(),
            None if given.contains_key("tokenizer") => "custom".to_owned(),
            None => type_of(ANALYZER, name, given)?,
        };
        let params = Params::new(ANALYZER, &kind, name, given, self.limits);
        let chain = match kind.as_str() {
            "custom" => self.custom(name, given, &params)?,
            other => self.configured(other, name, given, &params)?,
        };
        params.finish()?;
        Ok(Analyzer::Custom(Arc::new(self.checked(chain)?)))
    }

    fn custom(
        &self,
        name: &str,
        given: &Map<String, Value>,
        params: &Params<'_>,
    ) -> Result<Chain, ApiError> {
        let texts = |key| -> Result<Vec<Value>, ApiError> {
            let listed = params.list(key)?.unwrap_or_default();
            Ok(listed.into_iter().map(Value::from).collect())
        };
        let user = User::Analyzer(name);
        let tokenizer = params.text(TOKENIZER)?.ok_or_else(|| {
            ApiError::illegal_argument(format!(
                "Custom Analyzer [{name}] must be configured with a tokenizer"
            ))
        })?;
        let gap = match params.text("position_increment_gap")? {
            None => None,
            Some(text) => Some(text.parse().ok().filter(|gap| *gap <= MAX_GAP).ok_or_else(
                || {
                    params.wrong(format!(
                        "[position_increment_gap] must be from 0 to [{MAX_GAP}], but is [{text}]"
                    ))
                },
            )?),
        };
        Ok(Chain {
            name: name.to_owned(),
            definition: self.text_of(given),
            tokenizer: self.tokenizer(&tokenizer.into(), &user)?,
            char_filters: self.char_filters(&texts(CHAR_FILTER)?, &user, false)?,
            filters: self.filters(&texts(FILTER)?, &user, false)?,
            is_custom: true,
            gap,
            most: self.limits.bytes,
        })
    }

    /// An analyzer of a built-in kind with parameters.
    fn configured(
        &self,
        kind: &str,
        name: &str,
        given: &Map<String, Value>,
        params: &Params<'_>,
    ) -> Result<Chain, ApiError> {
        let stops = params.list("stopwords")?;
        let longest = params.number("max_token_length", super::words::MAX_TOKEN_LENGTH)?;
        let tokenizer = match kind {
            "standard" | "english" => json!({"type": "standard", "max_token_length": longest}),
            "whitespace" => json!({"type": "whitespace", "max_token_length": longest}),
            "simple" | "stop" => json!({"type": "lowercase"}),
            "keyword" => json!({"type": "keyword"}),
            "pattern" => {
                let pattern = params.text("pattern")?.unwrap_or_else(|| r"\W+".to_owned());
                let flags = params.text("flags")?.unwrap_or_default();
                json!({"type": "pattern", "pattern": pattern, "flags": flags})
            }
            other => return Err(unknown(ANALYZER, other, name, ABSENT_ANALYZERS)),
        };
        let mut filters = Vec::new();
        let lowers = match kind {
            "pattern" => params.flag("lowercase", true)?,
            kind => ["standard", "english"].contains(&kind),
        };
        if kind == "english" {
            filters.push(json!({"type": "stemmer", "language": "possessive_english"}));
        }
        if lowers {
            filters.push(json!({"type": "lowercase"}));
        }
        let default: &[&str] = match kind {
            "stop" | "english" => &["_english_"],
            _ => &["_none_"],
        };
        let stops = stops.unwrap_or_else(|| default.iter().map(|&list| list.to_owned()).collect());
        filters.push(json!({"type": "stop", "stopwords": stops}));
        if kind == "english" {
            filters.push(json!({"type": "porter_stem"}));
        }
        let user = User::Request { has_index: true };
        Ok(Chain {
            name: name.to_owned(),
            definition: self.text_of(given),
            tokenizer: self.tokenizer(&tokenizer, &user)?,
            char_filters: Vec::new(),
            filters: self.filters(&filters, &user, false)?,
            is_custom: false,
            gap: None,
            most: self.limits.bytes,
        })
    }

    fn normalizer(&self, name: &str, given: &Value) -> Result<Chain, ApiError> {
        let given = members(NORMALIZER, name, given)?;
        let params = Params::new(NORMALIZER, "custom", name, given, self.limits);
        match given.get("type").and_then(Value::as_str) {
            None | Some("custom") => {}
            Some("lowercase") => {}
            Some(other) => return Err(unknown(NORMALIZER, other, name, &[])),
        }
        let is_lowercase = given.get("type").and_then(Value::as_str) == Some("lowercase");
        let texts = |key| -> Result<Vec<Value>, ApiError> {
            let listed = params.list(key)?.unwrap_or_default();
            Ok(listed.into_iter().map(Value::from).collect())
        };
        let user = User::Normalizer(name);
        let mut filters = texts(FILTER)?;
        if is_lowercase {
            filters.push("lowercase".into());
        }
        let chain = Chain {
            name: name.to_owned(),
            definition: self.text_of(given),
            tokenizer: self.tokenizer(&"keyword".into(), &User::Request { has_index: true })?,
            char_filters: self.char_filters(&texts(CHAR_FILTER)?, &user, true)?,
            filters: self.filters(&filters, &user, true)?,
            is_custom: false,
            gap: None,
            most: self.limits.bytes,
        };
        params.finish()?;
        Ok(chain)
    }

    /// What an analyzer is made of, with the parts that it may name.
    fn text_of(&self, given: &Map<String, Value>) -> String {
        let parts = [TOKENIZER, FILTER, CHAR_FILTER].map(|kind| self.parts.get(kind));
        json!([given, parts]).to_string()
    }
}

/// Filters of an analyzer: each takes its time.
const MAX_PARTS: usize = 100;

/// As the field's own, see `position_increment_gap` there.
const MAX_GAP: u32 = 10_000;

/// Those that there are in Elasticsearch, and not here.
const ABSENT_ANALYZERS: &[&str] = &[
    "arabic",
    "armenian",
    "basque",
    "bengali",
    "brazilian",
    "bulgarian",
    "catalan",
    "cjk",
    "czech",
    "danish",
    "dutch",
    "estonian",
    "fingerprint",
    "finnish",
    "french",
    "galician",
    "german",
    "greek",
    "hindi",
    "hungarian",
    "icu_analyzer",
    "indonesian",
    "irish",
    "italian",
    "kuromoji",
    "latvian",
    "lithuanian",
    "nori",
    "norwegian",
    "persian",
    "portuguese",
    "romanian",
    "russian",
    "serbian",
    "smartcn",
    "snowball",
    "sorani",
    "spanish",
    "swedish",
    "thai",
    "turkish",
];

fn members<'a>(
    kind: &str,
    name: &str,
    given: &'a Value,
) -> Result<&'a Map<String, Value>, ApiError> {
    given.as_object().ok_or_else(|| {
        ApiError::illegal_argument(format!(
            "{kind} [{name}] must be an object, but is [{given}]"
        ))
    })
}

fn type_of(kind: &str, name: &str, given: &Map<String, Value>) -> Result<String, ApiError> {
    let found = given.get("type").and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| {
        ApiError::illegal_argument(format!(
            "{kind} [{name}] must specify either an analyzer type, or a tokenizer"
        ))
    })
}

fn unknown(kind: &str, of: &str, name: &str, absent: &[&str]) -> ApiError {
    ApiError::illegal_argument(match absent.contains(&of) {
        true => format!("{kind} type [{of}] of [{name}] is not supported by Ringwall"),
        false => format!("Unknown {kind} type [{of}] for [{name}]"),
    })
}
