//! What a view hides is hidden on every way to it.

use std::sync::atomic::{AtomicUsize, Ordering};

use ringwall_api::ApiError;
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;

use super::*;

/// Lets documents through whose `n` is one number.
struct OnlyN {
    n: i64,
    key: Option<String>,
    runs: AtomicUsize,
}

impl OnlyN {
    fn new(n: i64, cached: bool) -> Arc<Self> {
        Arc::new(Self {
            n,
            key: cached.then(|| format!("n={n}")),
            runs: AtomicUsize::new(0),
        })
    }
}

impl DocumentFilter for OnlyN {
    fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    fn compile(
        &self,
        whole: &Searcher,
    ) -> std::result::Result<Box<dyn tantivy::query::Query>, ApiError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let term = whole.layout().long_term("n", self.n);
        Ok(Box::new(TermQuery::new(term, IndexRecordOption::Basic)))
    }
}

/// A filter that does not fit.
struct Unfit;

impl DocumentFilter for Unfit {
    fn key(&self) -> Option<&str> {
        None
    }

    fn compile(
        &self,
        _: &Searcher,
    ) -> std::result::Result<Box<dyn tantivy::query::Query>, ApiError> {
        Err(ApiError::illegal_argument("does not fit"))
    }
}

fn only(n: i64) -> View {
    View::whole().filtered(OnlyN::new(n, true))
}

fn ids(shard: &Shard, view: &View) -> Vec<String> {
    let searcher = shard.acquire_searcher(view).unwrap();
    let mut ids = Vec::new();
    for (ord, leaf) in searcher.leaves().enumerate() {
        assert_eq!(leaf.num_docs() as usize, leaf.docs().count());
        for doc in leaf.docs() {
            let address = tantivy::DocAddress::new(ord as u32, doc);
            ids.push(searcher.document(address).unwrap().id);
        }
    }
    ids.sort();
    ids
}

#[test]
fn a_filter_hides_documents_from_searches_and_reads_by_id() {
    let directory = tempfile::tempdir().unwrap();
    let shard = create(directory.path());
    for (id, n) in [("a", 1), ("b", 2), ("c", 1), ("d", 2)] {
        put(&shard, id, n);
    }
    let seen = |id: &str, view: &View| shard.get(id, view).unwrap().is_some();
    // In the translog, then in the index, then after deletions and updates.
    for round in 0..3 {
        assert!(seen("a", &only(1)) && !seen("b", &only(1)), "round {round}");
        assert!(seen("b", &only(2)) && !seen("a", &only(2)), "round {round}");
        assert!(seen("a", &View::whole()) && seen("b", &View::whole()));
        let none = only(1).filtered(OnlyN::new(2, true));
        assert!(!seen("a", &none) && !seen("b", &none));
        shard.refresh().unwrap();
        if round == 1 {
            assert_eq!(ids(&shard, &only(1)), ["a", "c"]);
            assert_eq!(ids(&shard, &View::whole()), ["a", "b", "c", "d"]);
            assert!(shard.by_id(&only(2)).get_searchable("a").unwrap().is_none());
            shard.delete(1, "c", Condition::default()).unwrap();
            put(&shard, "d", 1);
            // As searches see it nothing has changed yet; by id it has.
            assert!(seen("d", &only(1)) && !seen("c", &only(1)));
            assert!(shard.by_id(&only(1)).get_searchable("d").unwrap().is_none());
        }
    }
    assert_eq!(ids(&shard, &only(1)), ["a", "d"]);
    assert_eq!(ids(&shard, &only(2)), ["b"]);
}

#[test]
fn what_a_view_hides_cannot_be_fetched_by_its_address() {
    let directory = tempfile::tempdir().unwrap();
    let shard = create(directory.path());
    put(&shard, "a", 1);
    put(&shard, "b", 2);
    shard.refresh().unwrap();
    let searcher = shard.acquire_searcher(&only(1)).unwrap();
    let mut readable = 0;
    for (ord, leaf) in searcher.leaves().enumerate() {
        for doc in 0..=leaf.max_doc() {
            let address = tantivy::DocAddress::new(ord as u32, doc);
            readable += usize::from(searcher.document(address).is_ok());
        }
    }
    assert_eq!(readable, 1);
}

#[test]
fn a_filter_runs_once_for_a_segment_unless_it_depends_on_the_moment() {
    let directory = tempfile::tempdir().unwrap();
    let shard = create(directory.path());
    put(&shard, "a", 1);
    shard.refresh().unwrap();
    let view = only(1);
    assert_eq!(ids(&shard, &view), ["a"]);
    // A filter of the same key that would let others through: what is known is used.
    let impostor = Arc::new(OnlyN {
        n: 2,
        key: Some("n=1".to_owned()),
        runs: AtomicUsize::new(0),
    });
    assert_eq!(ids(&shard, &View::whole().filtered(impostor)), ["a"]);
    assert_eq!(
        ids(&shard, &View::whole().filtered(OnlyN::new(2, false))),
        [""; 0]
    );
    put(&shard, "b", 1);
    shard.refresh().unwrap();
    assert_eq!(ids(&shard, &view), ["a", "b"]);
}

#[test]
fn a_filter_that_does_not_fit_shows_nothing_and_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let shard = create(directory.path());
    put(&shard, "a", 1);
    let view = View::whole().filtered(Arc::new(Unfit));
    for refreshed in [false, true] {
        assert!(shard.get("a", &view).is_err(), "{refreshed}");
        assert!(shard.acquire_searcher(&view).is_err());
        assert!(shard.failure().is_none());
        shard.refresh().unwrap();
    }
    assert_eq!(ids(&shard, &View::whole()), ["a"]);
}

#[test]
fn a_mask_hides_fields_from_mapping_and_source() {
    let directory = tempfile::tempdir().unwrap();
    let shard = create(directory.path());
    let text =
        r#"{"n":1,"t":"x","o":{"n":2,"p":{"q":3}},"l":[{"a":1,"b":2},{"b":3}],"e":{},"s":[1,2]}"#;
    let mut document = parse_document(&shard.mapping(), "a", None, Bytes::from(text)).unwrap();
    // What is not mapped stays in the source only.
    document.mapping_update = None;
    shard
        .index(1, document, Condition::default(), false)
        .unwrap();
    let shows = |path: &str| !["t", "o.p.q", "l.b", "e", "s"].contains(&path);
    let view = View::whole().masked(FieldMask::new(shows));
    let expected = json!({"n": 1, "o": {"n": 2}, "l": [{"a": 1}]});
    for refreshed in [false, true] {
        let read = shard.get("a", &view).unwrap().unwrap();
        let source: serde_json::Value = serde_json::from_slice(&read.source).unwrap();
        assert_eq!(source, expected, "{refreshed}");
        shard.refresh().unwrap();
    }
    let searcher = shard.acquire_searcher(&view).unwrap();
    assert!(searcher.mapping().field("n").is_some() && searcher.mapping().field("t").is_none());
    let stored = searcher.document(tantivy::DocAddress::new(0, 0)).unwrap();
    let source: serde_json::Value = serde_json::from_slice(&stored.source).unwrap();
    assert_eq!(source, expected);
    let narrower = View::whole().masked(FieldMask::new(|path| path != "n"));
    let searcher = searcher.narrowed(&narrower).unwrap();
    assert_eq!(searcher.mapping().fields().count(), 0);
}
