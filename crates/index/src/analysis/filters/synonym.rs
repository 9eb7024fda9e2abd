//! Synonyms, one word or several for one or several. Source: Elasticsearch reference, "Synonym token filter" and "Synonym
//! graph token filter". The words of several stand at the places of the words they follow, or, in a graph, at places of
//! their own.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use ringwall_api::ApiError;

use super::{Built, Cut, TokenFilter};
use crate::analysis::params::Params;
use crate::analysis::run::Run;
use crate::analysis::token::{Stream, Token};

/// Rules as they are written.
#[derive(Debug)]
struct Written {
    name: String,
    rules: Vec<String>,
    expand: bool,
    lenient: bool,
    graph: bool,
}

/// Words that may stand for others, of all rules of a filter: each of `n` that are alike stands for `n - 1`.
const MAX_OUTPUTS: usize = 1 << 20;

pub(super) fn build(params: &Params<'_>, graph: bool) -> Built {
    let rules = params.lines("synonyms")?;
    let rules = rules.ok_or_else(|| {
        ApiError::illegal_argument(
            "synonym requires either `synonyms`, `synonyms_set` or `synonyms_path` to be configured",
        )
    })?;
    match params.text("format")?.as_deref() {
        None | Some("solr") => {}
        Some(other) => {
            return Err(params.wrong(format!("[format={other}] is not supported by Ringwall")));
        }
    }
    if params.flag("updateable", false)? {
        return Err(params.wrong("[updateable=true] is not supported by Ringwall"));
    }
    Ok(Arc::new(Written {
        name: params.name.to_owned(),
        rules,
        expand: params.flag("expand", true)?,
        lenient: params.flag("lenient", false)?,
        graph,
    }))
}

impl TokenFilter for Written {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        tokens
    }

    fn prepared(&self, cut: Cut<'_>) -> Option<Built> {
        Some(self.read(cut))
    }

    fn has_rules(&self) -> bool {
        true
    }
}

/// The words of one side of a rule.
type Words = Arc<[String]>;

impl Written {
    fn read(&self, cut: Cut<'_>) -> Built {
        let mut rules = Rules::default();
        for rule in &self.rules {
            let rule = rule.trim();
            if rule.is_empty() || rule.starts_with('#') {
                continue;
            }
            match self.add(&mut rules, rule, cut) {
                Err(_) if self.lenient => {}
                result => result?,
            }
            // Also where a rule that cannot be read is left out.
            if rules.is_full() {
                return Err(self.failed(format!(
                    "more than [{MAX_OUTPUTS}] words that stand for others are not supported by Ringwall"
                )));
            }
        }
        let graph = self.graph;
        let nodes = rules.nodes;
        Ok(Arc::new(Synonyms { nodes, graph }))
    }

    fn failed(&self, why: String) -> ApiError {
        ApiError::illegal_argument("failed to build synonyms").caused_by(
            ApiError::illegal_argument(format!("[{}]: {why}", self.name)),
        )
    }

    fn add(&self, rules: &mut Rules, rule: &str, cut: Cut<'_>) -> Result<(), ApiError> {
        let words = |side: &str| -> Result<Vec<Words>, ApiError> {
            let mut found = Vec::new();
            for term in terms(side) {
                let tokens = cut(&term)?;
                if tokens.is_empty() {
                    return Err(self.failed(format!(
                        "term: {term} was completely eliminated by analyzer"
                    )));
                }
                if tokens
                    .iter()
                    .enumerate()
                    .any(|(nth, token)| token.position != nth)
                {
                    return Err(self.failed(format!(
                        "term: {term} analyzed to a token ({}) with position increment != 1",
                        tokens.last().map_or("", |token| &token.text)
                    )));
                }
                found.push(tokens.into_iter().map(|token| token.text).collect());
            }
            Ok(found)
        };
        let sides: Vec<&str> = rule.split("=>").collect();
        match sides.as_slice() {
            [all] => {
                let all = words(all)?;
                for (at, from) in all.iter().enumerate() {
                    match self.expand {
                        true => {
                            let others = all.iter().enumerate().filter(|(other, _)| *other != at);
                            if !others.map(|(_, to)| to).all(|to| rules.add(from, to, true)) {
                                return Ok(());
                            }
                        }
                        false => {
                            rules.add(from, &all[0], false);
                        }
                    }
                }
            }
            [from, to] => {
                let to = words(to)?;
                for from in words(from)? {
                    if !to.iter().all(|to| rules.add(&from, to, false)) {
                        return Ok(());
                    }
                }
            }
            _ => {
                return Err(self.failed(format!(
                    "more than one explicit mapping specified on the same line: {rule}"
                )));
            }
        }
        Ok(())
    }
}

/// Parts between commas, without backslashes.
fn terms(side: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut chars = side.chars();
    while let Some(c) = chars.next() {
        match (c, terms.last_mut()) {
            (',', _) => terms.push(String::new()),
            ('\\', Some(term)) => term.extend(chars.next()),
            (c, Some(term)) => term.push(c),
            (_, None) => {}
        }
    }
    let trimmed = terms.into_iter().map(|term| term.trim().to_owned());
    trimmed.filter(|term| !term.is_empty()).collect()
}

/// Words that begin rules, as a tree.
#[derive(Debug, Default)]
struct Node {
    next: HashMap<String, usize>,
    rule: Option<Rule>,
}

#[derive(Debug, Default)]
struct Rule {
    outputs: Vec<Words>,
    /// Whether the words of the text stay.
    keeps: bool,
    /// What all outputs take until they are handed on, bytes.
    bytes: usize,
}

/// What a word takes until it is handed on, bytes.
fn held_for(word: &str) -> usize {
    word.len() + size_of::<Output>() + size_of::<Token>()
}

#[derive(Debug)]
struct Rules {
    nodes: Vec<Node>,
    /// Node and output.
    known: HashSet<(usize, Words)>,
    /// How many were added, also those that were known.
    added: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            known: HashSet::new(),
            added: 0,
        }
    }
}

impl Rules {
    fn is_full(&self) -> bool {
        self.added > MAX_OUTPUTS
    }

    /// Returns whether there is room: a short rule with words on both sides asks for as many as both multiplied.
    fn add(&mut self, from: &Words, to: &Words, keeps: bool) -> bool {
        self.added += 1;
        if self.is_full() {
            return false;
        }
        let mut at = 0;
        for word in from.iter() {
            at = match self.nodes[at].next.get(word) {
                Some(next) => *next,
                None => {
                    let next = self.nodes.len();
                    self.nodes[at].next.insert(word.clone(), next);
                    self.nodes.push(Node::default());
                    next
                }
            };
        }
        let is_new = self.known.insert((at, Arc::clone(to)));
        let rule = self.nodes[at].rule.get_or_insert_with(Rule::default);
        rule.keeps |= keeps;
        if is_new {
            rule.bytes += to.iter().map(|word| held_for(word)).sum::<usize>();
            rule.outputs.push(Arc::clone(to));
        }
        true
    }
}

#[derive(Debug)]
struct Synonyms {
    nodes: Vec<Node>,
    graph: bool,
}

impl Synonyms {
    /// Returns the longest rule that begins here, and how many words it has.
    fn find(&self, ahead: &mut Ahead<'_>) -> Option<(&Rule, usize)> {
        let (mut node, mut found) = (&self.nodes[0], None);
        for count in 0.. {
            let Some(next) = ahead
                .get(count)
                .and_then(|token| node.next.get(&token.text))
            else {
                break;
            };
            node = &self.nodes[*next];
            if let Some(rule) = &node.rule {
                found = Some((rule, count + 1));
            }
        }
        found
    }
}

/// Tokens that were looked at, and not yet handed on.
struct Ahead<'a> {
    tokens: Stream<'a>,
    seen: VecDeque<Token>,
}

impl Ahead<'_> {
    fn get(&mut self, nth: usize) -> Option<&Token> {
        while self.seen.len() <= nth {
            self.seen.push_back(self.tokens.next()?);
        }
        self.seen.get(nth)
    }

    fn take(&mut self) -> Option<Token> {
        self.get(0)?;
        self.seen.pop_front()
    }
}

impl TokenFilter for Synonyms {
    fn apply<'a>(&'a self, tokens: Stream<'a>, run: &'a Run) -> Stream<'a> {
        let ahead = Ahead {
            tokens,
            seen: VecDeque::new(),
        };
        match self.graph {
            true => self.as_graph(ahead, run),
            false => self.woven(ahead, run),
        }
    }

    fn has_rules(&self) -> bool {
        true
    }
}

/// A word to put at a place of the text.
struct Output {
    words: Words,
    nth: usize,
    /// `None`: where the token of the place ends.
    end: Option<usize>,
    length: usize,
}

/// What is told of the words at one place of the text.
#[derive(Default)]
struct Place {
    replaced: bool,
    outputs: Vec<Output>,
}

impl Synonyms {
    /// Words of several go on beside the words of the text that follow.
    fn woven<'a>(&'a self, mut ahead: Ahead<'a>, run: &'a Run) -> Stream<'a> {
        let mut places: VecDeque<Place> = VecDeque::new();
        // Words that the rule at hand covers still.
        let mut covered = 0_usize;
        // With the bytes that are held for each.
        let mut made: VecDeque<(Token, usize)> = VecDeque::new();
        let mut position: Option<usize> = None;
        let mut before: Option<Token> = None;
        Box::new(std::iter::from_fn(move || {
            loop {
                if let Some((token, held)) = made.pop_front() {
                    run.release(held);
                    return Some(token);
                }
                if covered == 0
                    && let Some((rule, count)) = self.find(&mut ahead)
                {
                    if !run.hold(rule.bytes) {
                        return None;
                    }
                    covered = count;
                    note(&mut places, rule, count, &ahead);
                }
                covered = covered.saturating_sub(1);
                let token = ahead.take();
                let place = places.pop_front();
                if token.is_none() && place.is_none() {
                    return None;
                }
                let place = place.unwrap_or_default();
                let original = token.as_ref().filter(|_| !place.replaced);
                if let Some(token) = original {
                    let last = before.as_ref().map_or(0, |token| token.position);
                    let step = token.position.saturating_sub(last);
                    let at = position.map_or(token.position, |position| position + step);
                    position = Some(at);
                    let token = Token {
                        position: at,
                        ..token.clone()
                    };
                    made.push_back((token, 0));
                }
                let is_kept = original.is_some();
                before = token.or(before.take());
                let Some(beside) = &before else {
                    continue;
                };
                for (nth, output) in place.outputs.into_iter().enumerate() {
                    if !is_kept && nth == 0 {
                        position = Some(position.map_or(0, |position| position + 1));
                    }
                    let word = output.words[output.nth].as_str();
                    let token = Token {
                        end: output.end.unwrap_or(beside.end),
                        position: position.unwrap_or(0),
                        length: output.length,
                        kind: "SYNONYM",
                        ..beside.with_text(word)
                    };
                    made.push_back((token, held_for(word)));
                }
            }
        }))
    }

    /// Each output is a way of its own from where the words of the text begin to where they end.
    fn as_graph<'a>(&'a self, mut ahead: Ahead<'a>, run: &'a Run) -> Stream<'a> {
        let mut made: VecDeque<Token> = VecDeque::new();
        // How far what follows stands from where it was: a few words may stand for more.
        let mut further = 0_isize;
        let mut held = 0;
        Box::new(std::iter::from_fn(move || {
            loop {
                if let Some(token) = made.pop_front() {
                    return Some(token);
                }
                run.release(std::mem::take(&mut held));
                let found = self.find(&mut ahead);
                let Some((rule, count)) = found else {
                    let mut token = ahead.take()?;
                    token.position = token.position.saturating_add_signed(further);
                    return Some(token);
                };
                held = rule.bytes;
                if !run.hold(held) {
                    return None;
                }
                let mut matched = Vec::with_capacity(count);
                matched.extend((0..count).filter_map(|_| ahead.take()));
                let (graph, longer) = ways(rule, &matched, further);
                further += longer;
                match longer {
                    0.. => run.shift(longer.unsigned_abs()),
                    _ => run.close(longer.unsigned_abs()),
                }
                made.extend(graph);
            }
        }))
    }
}

fn note(places: &mut VecDeque<Place>, rule: &Rule, count: usize, ahead: &Ahead<'_>) {
    let end = ahead.seen.get(count - 1).map(|token| token.end);
    let longest = rule.outputs.iter().map(|words| words.len()).max();
    let needed = longest.unwrap_or(0).max(count);
    while places.len() < needed {
        places.push_back(Place::default());
    }
    for words in &rule.outputs {
        let is_single = words.len() == 1;
        for (nth, place) in places.iter_mut().take(words.len()).enumerate() {
            place.outputs.push(Output {
                words: Arc::clone(words),
                nth,
                end: end.filter(|_| is_single),
                length: if is_single && rule.keeps { count } else { 1 },
            });
        }
    }
    for place in places.iter_mut().take(count) {
        place.replaced = !rule.keeps;
    }
}

/// Returns the tokens that stand for the words of a text, and how many places more than these they take.
fn ways(rule: &Rule, matched: &[Token], further: isize) -> (Vec<Token>, isize) {
    let (Some(first), Some(last)) = (matched.first(), matched.last()) else {
        return (Vec::new(), 0);
    };
    let own = matched.len() - 1;
    let inner: usize = rule.outputs.iter().map(|words| words.len() - 1).sum();
    let inner = inner + if rule.keeps { own } else { 0 };
    let begin = first.position.saturating_add_signed(further);
    let end = begin + inner + 1;
    let made = |text: &str, from: usize, to: usize| Token {
        start: first.start,
        end: last.end,
        position: from,
        length: to - from,
        kind: "SYNONYM",
        ..first.with_text(text)
    };
    let (mut firsts, mut rest) = (Vec::new(), Vec::new());
    let mut free = begin + 1;
    // Places of a way: from where it begins, over those of its own, to the end.
    let mut stops = |words: usize| {
        let mut stops = vec![begin];
        stops.extend(free..free + words - 1);
        free += words - 1;
        stops.push(end);
        stops
    };
    for words in &rule.outputs {
        let stops = stops(words.len());
        for (nth, word) in words.iter().enumerate() {
            let token = made(word, stops[nth], stops[nth + 1]);
            if nth == 0 { &mut firsts } else { &mut rest }.push(token);
        }
    }
    if rule.keeps {
        let stops = stops(matched.len());
        for (nth, token) in matched.iter().enumerate() {
            let token = Token {
                position: stops[nth],
                length: stops[nth + 1] - stops[nth],
                ..token.clone()
            };
            if nth == 0 { &mut firsts } else { &mut rest }.push(token);
        }
    }
    firsts.extend(rest);
    let taken = last.position - first.position + 1;
    (firsts, (end - begin).cast_signed() - taken.cast_signed())
}
