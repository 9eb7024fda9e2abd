//! What analyzers make of texts.

use std::sync::Arc;

use ringwall_api::indices::{
    Analyze, AnalyzeDetail, AnalyzeInIndexRequest, AnalyzeRequest, AnalyzeResponse, AnalyzeToken,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, RequestContext};
use ringwall_cluster::index_settings::IndexSettings;
use ringwall_index::mapping::Family;
use ringwall_index::{
    Analysis, AnalysisLimits, Analyzed, Analyzer, Assembly, Chain, Exceeded, FieldMapping,
    Similarities, Spent,
};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::services::Services;
use crate::views;

/// Returns the analyzers that settings define. Long lists of synonyms take their time, on a thread of the pool.
///
/// # Errors
/// 400 that names what is not there or not supported.
pub async fn of_settings(
    services: &Services,
    settings: &IndexSettings,
) -> ApiResult<Arc<Analysis>> {
    let limits = AnalysisLimits {
        ngrams: settings.max_ngram_diff(),
        shingles: settings.max_shingle_diff(),
        bytes: settings.analyzed_bytes_limit(),
    };
    let similarities = Similarities::parse(&settings.similarities())?;
    let settings = settings.analysis();
    let work = move || {
        let analysis = Analysis::parse(&settings, limits)?;
        Ok(Arc::new(analysis.scored_by(similarities)))
    };
    services.pools.search.run(work).await?
}

impl Handler<AnalyzeRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<AnalyzeRequest>,
    ) -> ApiResult<AnalyzeResponse> {
        let ask = request.into_request().ask;
        if ask.field.is_some() {
            return Err(ApiError::illegal_argument(
                "analysis based on a specific field requires an index",
            ));
        }
        if ask.normalizer.is_some() {
            return Err(ApiError::validation(&[
                "index is required if normalizer is specified",
            ]));
        }
        let most = IndexSettings::default().max_analyzed_tokens();
        let work = move || {
            let way = Way::of(&ask, Analysis::none(), None, false)?;
            analyzed(&ask, &way, most)
        };
        services.pools.search.run(work).await?
    }
}

impl Handler<AnalyzeInIndexRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<AnalyzeInIndexRequest>,
    ) -> ApiResult<AnalyzeResponse> {
        let state = services.cluster.state();
        let indices = concrete(&state, request.indices())?;
        let [index] = indices.as_slice() else {
            return Err(ApiError::illegal_argument("one index is expected"));
        };
        let (_, mapping) = services.shards.mapping_in(&state, &index.id)?;
        let reading = services.reading(&context.authentication, AnalyzeInIndexRequest::NAME);
        let through = request.indices().through(&index.id.name);
        let mask = views::fields_shown(&index.id.name, &through, reading)?;
        // A field that the caller may not see is as if it were not mapped.
        let field = request.ask.field.as_deref();
        let field = field.filter(|path| mask.shows(path));
        let field = field.and_then(|path| mapping.field(path)).cloned();
        let most = index.settings.max_analyzed_tokens();
        let ask = request.ask.clone();
        let work = move || {
            let way = Way::of(&ask, mapping.analysis(), field.as_deref(), true)?;
            analyzed(&ask, &way, most)
        };
        services.pools.search.run(work).await?
    }
}

/// How texts are analyzed.
enum Way {
    Analyzer(Analyzer),
    /// Of parts that the request names.
    Parts(Chain),
}

/// Positions between two texts. Source: Elasticsearch reference, `position_increment_gap`.
const GAP: u64 = 100;

impl Way {
    fn chain(&self) -> Option<&Chain> {
        match self {
            Self::Parts(chain) => Some(chain),
            Self::Analyzer(Analyzer::Custom(chain)) => Some(chain),
            Self::Analyzer(_) => None,
        }
    }

    fn gap(&self) -> u64 {
        let own = self.chain().and_then(Chain::gap);
        own.map_or(GAP, u64::from)
    }
}

impl Way {
    fn of(
        ask: &Analyze,
        analysis: &Analysis,
        field: Option<&FieldMapping>,
        has_index: bool,
    ) -> ApiResult<Self> {
        if let Some(name) = &ask.analyzer {
            let found = analysis.analyzer(name);
            let global = if has_index { "" } else { "global " };
            return found.map(Self::Analyzer).ok_or_else(|| {
                ApiError::illegal_argument(format!("failed to find {global}analyzer [{name}]"))
            });
        }
        if let Some(name) = &ask.normalizer {
            let found = analysis.normalizer(name);
            let found = found.ok_or_else(|| {
                ApiError::illegal_argument(format!("failed to find normalizer under [{name}]"))
            })?;
            return Ok(Self::Analyzer(Analyzer::Custom(found)));
        }
        if ask.tokenizer.is_some() || !ask.filters.is_empty() || !ask.char_filters.is_empty() {
            let assembly = Assembly {
                tokenizer: ask.tokenizer.clone(),
                char_filters: ask.char_filters.clone(),
                filters: ask.filters.clone(),
                has_index,
            };
            return analysis.assemble(&assembly).map(Self::Parts);
        }
        match field.map(|field| (field, field.field_type.family())) {
            Some((field, Some(Family::Text))) => Ok(Self::Analyzer(field.analyzer.clone())),
            Some((field, Some(Family::Keyword))) => Ok(Self::Analyzer(match &field.normalizer {
                Some(normalizer) => Analyzer::Custom(Arc::clone(normalizer)),
                None => Analyzer::Keyword,
            })),
            Some((field, _)) => Err(ApiError::illegal_argument(format!(
                "Can't process field [{}], Analysis requests are only supported on tokenized fields",
                field.path
            ))),
            None => Ok(Self::Analyzer(
                analysis.analyzer("default").unwrap_or_default(),
            )),
        }
    }
}

/// Bytes of all texts of a request: tokens are counted when they are made, and each takes many times its text.
const MAX_BYTES: usize = 1 << 20;
/// Texts of a request: each is handed to each part, also an empty one.
const MAX_TEXTS: usize = 1000;
/// What all parts together may make of all texts of a request, bytes: all of it is answered with `explain`.
const MAX_MADE: usize = 16 << 20;

fn analyzed(ask: &Analyze, way: &Way, most: usize) -> ApiResult<AnalyzeResponse> {
    let bytes: usize = ask.texts.iter().map(String::len).sum();
    if bytes > MAX_BYTES {
        return Err(ApiError::illegal_argument(format!(
            "[_analyze] of more than [{MAX_BYTES}] bytes is not supported by Ringwall: there are [{bytes}]"
        )));
    }
    if ask.texts.len() > MAX_TEXTS {
        return Err(ApiError::illegal_argument(format!(
            "[_analyze] of more than [{MAX_TEXTS}] texts is not supported by Ringwall: there are [{}]",
            ask.texts.len()
        )));
    }
    let chain = way.chain().filter(|chain| chain.is_of_parts());
    if let (true, Some(chain)) = (ask.explain, chain) {
        return explained(ask, chain, way.gap(), most);
    }
    let mut all = Joined::new(most, way.gap());
    let mut spent = Spent::within(MAX_MADE);
    for text in &ask.texts {
        // One more, to be told of.
        let analyzed = match way {
            Way::Parts(chain) => chain.analyzed(text, most + 1, &mut spent),
            Way::Analyzer(analyzer) => analyzer.analyze(text, most + 1, &mut spent),
        };
        let analyzed = analyzed.map_err(too_much)?;
        all.add(text, analyzed)?;
    }
    let detail = match way {
        Way::Analyzer(analyzer) if ask.explain => {
            Some(AnalyzeDetail::Whole(analyzer.name().to_owned()))
        }
        _ => None,
    };
    Ok(AnalyzeResponse {
        tokens: all.tokens,
        detail,
    })
}

fn too_much(exceeded: Exceeded) -> ApiError {
    match exceeded {
        Exceeded::Made(MAX_MADE) => ApiError::illegal_argument(format!(
            "[_analyze] that makes more than [{MAX_MADE}] bytes of its texts is not supported by Ringwall"
        )),
        other => other.into(),
    }
}

fn explained(ask: &Analyze, chain: &Chain, gap: u64, most: usize) -> ApiResult<AnalyzeResponse> {
    let mut char_filters: Vec<(String, Vec<String>)> = Vec::new();
    let mut stages: Vec<(String, Joined)> = Vec::new();
    let mut spent = Spent::within(MAX_MADE);
    for text in &ask.texts {
        let seen = chain.stages(text, most + 1, &mut spent);
        let seen = seen.map_err(too_much)?;
        for (at, (name, changed)) in seen.char_filters.into_iter().enumerate() {
            match char_filters.get_mut(at) {
                Some((_, texts)) => texts.push(changed),
                None => char_filters.push((name, vec![changed])),
            }
        }
        for (at, (name, analyzed)) in seen.tokens.into_iter().enumerate() {
            if stages.len() <= at {
                stages.push((name, Joined::new(most, gap)));
            }
            stages[at].1.add(text, analyzed)?;
        }
    }
    let stages = stages.into_iter().map(|(name, all)| (name, all.tokens));
    Ok(AnalyzeResponse {
        tokens: Vec::new(),
        detail: Some(AnalyzeDetail::Parts {
            char_filters,
            stages: stages.collect(),
        }),
    })
}

/// The tokens of texts, one behind the other.
struct Joined {
    tokens: Vec<AnalyzeToken>,
    /// Where the next text begins.
    offset: u64,
    position: u64,
    gap: u64,
    most: usize,
}

impl Joined {
    fn new(most: usize, gap: u64) -> Self {
        Self {
            tokens: Vec::new(),
            offset: 0,
            position: 0,
            gap,
            most,
        }
    }

    fn add(&mut self, text: &str, analyzed: Analyzed) -> ApiResult<()> {
        if self.tokens.len() + analyzed.tokens.len() > self.most {
            return Err(ApiError::illegal_argument(format!(
                "The number of tokens produced by calling _analyze has exceeded the allowed maximum of [{}]. This limit \
                 can be set by changing the [index.analyze.max_token_count] index level setting.",
                self.most
            )));
        }
        let units = Units::of(text);
        for token in analyzed.tokens {
            self.tokens.push(AnalyzeToken {
                token: token.text,
                start_offset: self.offset + units.before(token.start),
                end_offset: self.offset + units.before(token.end),
                kind: token.kind.to_owned(),
                position: self.position + token.position as u64,
                position_length: token.length as u64,
            });
        }
        self.offset += units.before(text.len()) + 1;
        self.position += analyzed.places as u64 + self.gap;
        Ok(())
    }
}

/// How many units of UTF-16 stand before each byte of a text.
struct Units(Option<Vec<u32>>);

impl Units {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self(None);
        }
        let mut units = Vec::with_capacity(text.len() + 1);
        let mut count: u32 = 0;
        for c in text.chars() {
            units.extend(std::iter::repeat_n(count, c.len_utf8()));
            count += c.len_utf16() as u32;
        }
        units.push(count);
        Self(Some(units))
    }

    fn before(&self, byte: usize) -> u64 {
        match &self.0 {
            None => byte as u64,
            Some(units) => units
                .get(byte)
                .or(units.last())
                .copied()
                .map_or(0, u64::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(ask: Analyze) -> ApiResult<AnalyzeResponse> {
        let way = Way::of(&ask, Analysis::none(), None, false)?;
        analyzed(&ask, &way, 10_000)
    }

    /// A short request asks for what each of many parts makes of it, of each of many texts.
    #[test]
    fn an_analysis_is_bounded_by_what_all_its_parts_make() {
        let text = "a".repeat(500_000);
        let ask = |filters: usize, texts: usize, explain: bool| Analyze {
            texts: vec![text[..500_000 / texts].to_owned(); texts],
            tokenizer: Some("keyword".into()),
            filters: vec!["lowercase".into(); filters],
            explain,
            analyzer: None,
            normalizer: None,
            field: None,
            char_filters: Vec::new(),
        };
        assert!(answer(ask(10, 1, true)).is_ok() && answer(ask(100, 1, false)).is_ok());
        for texts in [1, 100] {
            let refused = answer(ask(100, texts, true)).unwrap_err();
            assert!(refused.reason.contains("[16777216] bytes"), "{refused:?}");
        }
        let grown = json!({"type": "pattern_replace", "pattern": "a", "replacement": "bcdefghi".repeat(100)});
        for (texts, explain) in [(1, false), (1000, false), (1000, true)] {
            let ask = Analyze {
                char_filters: vec![grown.clone()],
                ..ask(0, texts, explain)
            };
            let refused = answer(ask).unwrap_err();
            assert!(refused.reason.contains("[16777216] bytes"), "{refused:?}");
        }
        let many = Analyze {
            texts: vec![String::new(); MAX_TEXTS + 1],
            ..ask(0, 1, false)
        };
        let refused = answer(many).unwrap_err();
        assert!(refused.reason.contains("[1000] texts"), "{refused:?}");
    }
}
