//! Rules, resolved for the fields and words of a shard.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ringwall_api::ApiError;
use tantivy::Term;

use super::source::{IntervalsOf, Source, WordsOfText};
use super::{Bound, By, IntervalsQuery, Near, Rule, What};
use crate::control::Beat;
use crate::fields::{FieldKind, FieldRef};
use crate::highlight::{Positions, Sought, What as Sighted};
use crate::parse::failed_to_create;
use crate::query::compile::{Compiled, boosted, none};
use crate::query::edits;
use crate::query::pattern::{PatternKind, PatternQuery};
use crate::query::regexp::{self, TermPattern};
use crate::query::text::{analyzer_of, for_each_term, tokens};
use crate::shard::Shard;

/// Terms that a pattern may stand for. Source: Elasticsearch reference, "Intervals query" (`prefix`).
const MAX_EXPANSIONS: usize = 128;

pub(super) fn compile_rule(
    shard: &Shard<'_>,
    query: &IntervalsQuery,
) -> Result<Compiled, ApiError> {
    let mut compiler = Compiler::new(shard, &query.field);
    let source = Source::any(compiler.alternatives(&query.rule)?);
    if compiler.words.is_empty() {
        return Ok(none());
    }
    let intervals = IntervalsOf {
        source: Arc::new(source),
        words: Arc::new(compiler.words),
        pulse: shard.pulse.clone(),
    };
    Ok(boosted(Box::new(intervals), query.boost))
}

/// Adds what the rules of a query look for.
pub(super) fn seek_rule(
    shard: &Shard<'_>,
    query: &IntervalsQuery,
    sought: &mut Sought,
) -> Result<(), ApiError> {
    let Some(field) = shard.field_of_words(&query.field) else {
        return Ok(());
    };
    let mut compiler = Compiler::new(shard, &query.field);
    let source = Source::any(compiler.alternatives(&query.rule)?);
    let shown = source.shown();
    let texts = compiler.texts;
    let words = shown.iter().map(|word| texts[*word].clone()).collect();
    let test = move |positions: &Positions<'_>, beat: &mut Beat| {
        let mut words = WordsOfText {
            texts: &texts,
            positions,
        };
        let spans = source.spans(&mut words, beat);
        // They come in order, and each position counts once.
        let mut next = 0;
        let ends = spans.iter().map(|span| {
            let start = span.start.max(next);
            next = next.max(span.end.saturating_add(1));
            start..=span.end
        });
        ends.flatten().collect()
    };
    let what = Sighted::Near {
        words,
        test: Arc::new(test),
    };
    sought.boosted(query.boost, |sought| sought.add(shard, &field.name, what))
}

struct Compiler<'a> {
    shard: &'a Shard<'a>,
    field: &'a str,
    words: Vec<Term>,
    /// The same, as texts have them.
    texts: Vec<String>,
    numbers: HashMap<Term, usize>,
}

impl<'a> Compiler<'a> {
    fn new(shard: &'a Shard<'a>, field: &'a str) -> Self {
        Self {
            shard,
            field,
            words: Vec::new(),
            texts: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// Returns what a rule may be: an interval of any of them is one of the rule. Choices of parts become choices of the
    /// whole, as a shorter interval of a part hides a longer one that alone may fit with the other parts.
    fn alternatives(&mut self, rule: &Rule) -> Result<Vec<Source>, ApiError> {
        let found = match &rule.what {
            What::Match { text, near, by } => self.text(text, *near, by)?,
            What::Pattern { kind, pattern, by } => self.pattern(*kind, pattern, by)?,
            What::Fuzzy {
                term,
                fuzziness,
                prefix_length,
                transpositions,
                by,
            } => {
                let edits = usize::from(fuzziness.edits(term));
                self.fuzzy(term, edits, *prefix_length, *transpositions, by)?
            }
            What::Range { from, to, field } => {
                self.range(from.as_ref(), to.as_ref(), field.as_deref())?
            }
            What::AllOf { rules, near } => {
                self.shard.count_clause()?;
                let parts = rules.iter().map(|rule| self.alternatives(rule));
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                let combined = combine(parts, self.shard.context.limits.max_clause_count)?;
                combined
                    .into_iter()
                    .map(|parts| together(parts, *near))
                    .collect()
            }
            What::AnyOf(rules) => {
                let mut all = Vec::new();
                for rule in rules {
                    all.extend(self.alternatives(rule)?);
                }
                all
            }
        };
        let Some(filter) = &rule.filter else {
            return Ok(found);
        };
        let (relation, other) = filter.as_ref();
        let other = Source::any(self.alternatives(other)?);
        let filtered =
            |source| Source::Filtered(Box::new(source), *relation, Box::new(other.clone()));
        Ok(found.into_iter().map(filtered).collect())
    }

    /// Calls with the field that is meant; nothing is found where it is not mapped.
    fn of_field(
        &mut self,
        other: Option<&str>,
        with: impl FnOnce(&mut Self, &FieldRef<'_>) -> Result<Vec<Source>, ApiError>,
    ) -> Result<Vec<Source>, ApiError> {
        self.shard.count_clause()?;
        let name = other.unwrap_or(self.field);
        let refused = |kind: &str| {
            failed_to_create(format!(
                "Can only use interval queries on text fields - not on [{name}] which is of type [{kind}]"
            ))
        };
        if name == crate::fields::INDEX {
            return Err(refused(name));
        }
        let shard = self.shard;
        let Some(field) = shard.searchable(name)? else {
            return Ok(Vec::new());
        };
        if !matches!(field.kind, FieldKind::Text) {
            return Err(refused(field.type_name()));
        }
        if !field.has_positions() {
            return Err(failed_to_create(format!(
                "Cannot create intervals over field [{name}] with no positions indexed"
            )));
        }
        with(self, &field)
    }

    fn word(&mut self, field: &FieldRef<'_>, text: &str) -> Source {
        let term = field.term(text);
        let (words, texts) = (&mut self.words, &mut self.texts);
        let number = self.numbers.entry(term).or_insert_with_key(|term| {
            words.push(term.clone());
            texts.push(text.to_owned());
            words.len() - 1
        });
        Source::Word(*number)
    }

    /// Words of a text: those of one position are a choice, and where the analyzer left some out there is a hole.
    fn text(&mut self, text: &str, near: Near, by: &By) -> Result<Vec<Source>, ApiError> {
        self.of_field(by.field.as_deref(), |this, field| {
            let Some(analyzer) = analyzer_of(this.shard, field, by.analyzer.as_deref())? else {
                return Ok(Vec::new());
            };
            let mut places: BTreeMap<usize, Vec<Source>> = BTreeMap::new();
            for token in tokens(this.shard, &analyzer, text)? {
                this.shard.pulse.proceed()?;
                let word = this.word(field, &token.text);
                places.entry(token.position).or_default().push(word);
            }
            let mut next = 0;
            let parts = places.into_iter().map(|(position, words)| {
                let hole = position - std::mem::replace(&mut next, position + 1);
                let word = Source::any(words);
                match u32::try_from(hole) {
                    Ok(0) => word,
                    hole => Source::After(hole.unwrap_or(u32::MAX), Box::new(word)),
                }
            });
            let parts: Vec<Source> = parts.collect();
            Ok(match parts.is_empty() {
                true => Vec::new(),
                false => vec![together(parts, near)],
            })
        })
    }

    fn pattern(
        &mut self,
        kind: PatternKind,
        pattern: &str,
        by: &By,
    ) -> Result<Vec<Source>, ApiError> {
        self.of_field(by.field.as_deref(), |this, field| {
            let pattern = match kind {
                PatternKind::Regexp => pattern.to_owned(),
                PatternKind::Prefix | PatternKind::Wildcard => {
                    normalized(this.shard, field, pattern, by.analyzer.as_deref())?
                }
            };
            let checked = PatternQuery {
                kind,
                field: field.name.clone(),
                value: pattern,
                case_insensitive: false,
                boost: 1.0,
            };
            regexp::check_length(&checked, this.shard.context.limits.max_regex_length)?;
            let pattern = checked.value;
            let test = TermPattern::compile(kind, &pattern, false)?;
            this.expand(field, &test.prefix, &pattern, |term| test.is_match(term))
        })
    }

    fn range(
        &mut self,
        from: Option<&Bound>,
        to: Option<&Bound>,
        field: Option<&str>,
    ) -> Result<Vec<Source>, ApiError> {
        self.of_field(field, |this, field| {
            let is_in = |term: &str| {
                let above = from.is_none_or(|from| match from.included {
                    true => term >= from.term.as_str(),
                    false => term > from.term.as_str(),
                });
                above
                    && to.is_none_or(|to| match to.included {
                        true => term <= to.term.as_str(),
                        false => term < to.term.as_str(),
                    })
            };
            let end = |bound: Option<&Bound>| bound.map_or("*", |bound| &bound.term).to_owned();
            let name = format!("{} to {}", end(from), end(to));
            this.expand(field, "", &name, is_in)
        })
    }

    fn fuzzy(
        &mut self,
        term: &str,
        edits: usize,
        prefix_length: usize,
        transpositions: bool,
        by: &By,
    ) -> Result<Vec<Source>, ApiError> {
        self.of_field(by.field.as_deref(), |this, field| {
            let term = normalized(this.shard, field, term, by.analyzer.as_deref())?;
            let wanted: Vec<char> = term.chars().collect();
            let prefix: String = wanted.iter().take(prefix_length).collect();
            this.expand(field, &prefix, &term, |term| {
                edits::distance(&wanted, term, edits, transpositions).is_some()
            })
        })
    }

    /// The terms that pass the test, as a choice.
    fn expand(
        &mut self,
        field: &FieldRef<'_>,
        prefix: &str,
        name: &str,
        test: impl Fn(&str) -> bool,
    ) -> Result<Vec<Source>, ApiError> {
        let mut terms = std::collections::BTreeSet::new();
        for_each_term(self.shard, field, prefix, |term| {
            if terms.len() <= MAX_EXPANSIONS && test(term) {
                terms.insert(term.to_owned());
            }
        })?;
        if terms.len() > MAX_EXPANSIONS {
            return Err(failed_to_create(format!(
                "Automaton [{}:{name}] expanded to too many terms (limit {MAX_EXPANSIONS})",
                field.name
            )));
        }
        let words: Vec<Source> = terms.iter().map(|term| self.word(field, term)).collect();
        Ok(match words.is_empty() {
            true => Vec::new(),
            false => vec![Source::any(words)],
        })
    }
}

/// Parts of an interval.
fn together(parts: Vec<Source>, near: Near) -> Source {
    let is_one = parts.len() == 1;
    let source = match near.ordered {
        true => Source::ordered(parts),
        false => Source::unordered(parts),
    };
    match near.max_gaps {
        Some(most) if !is_one => Source::MaxGaps(Box::new(source), most),
        _ => source,
    }
}

/// Every choice of one from each.
fn combine(parts: Vec<Vec<Source>>, most: usize) -> Result<Vec<Vec<Source>>, ApiError> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let mut all: Vec<Vec<Source>> = vec![Vec::new()];
    for part in parts {
        let mut longer = Vec::new();
        for begun in &all {
            for choice in &part {
                if longer.len() >= most {
                    return Err(failed_to_create(format!(
                        "the rules of [intervals] have more than [{most}] combinations of [any_of] within [all_of]"
                    )));
                }
                let mut chosen = begun.clone();
                chosen.push(choice.clone());
                longer.push(chosen);
            }
        }
        all = longer;
    }
    Ok(all)
}

/// A word or pattern with its letters as the analyzer writes them.
fn normalized(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    text: &str,
    analyzer: Option<&str>,
) -> Result<String, ApiError> {
    let analyzer = analyzer_of(shard, field, analyzer)?;
    let lowers = analyzer.is_some_and(|analyzer| {
        let written = analyzer.tokens("QX");
        written.first().is_some_and(|token| token.text == "qx")
    });
    Ok(match lowers {
        true => text.to_lowercase(),
        false => text.to_owned(),
    })
}
