//! Tables of the cat APIs. Source: Elasticsearch reference, "Compact and aligned text (CAT) APIs".

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::future::Future;

use ringwall_api::{ApiError, ApiResult};
use ringwall_base::glob::{self, Syntax};
use serde_json::{Map, Value};

use crate::formats::Format;
use crate::request::{RestRequest, RestResponse};

/// A table. What it declares is all that it is; how it is asked for, sorted and written is common.
pub trait CatTable: 'static {
    type Row: Send + 'static;

    const COLUMNS: &'static [Column<Self::Row>];

    /// Returns whether a parameter shows a column that is not shown by default.
    fn is_shown(_request: &RestRequest, _column: &str) -> ApiResult<bool> {
        Ok(false)
    }

    /// Returns the rows. Reads the parameters beyond those of every table.
    fn rows(request: &RestRequest) -> impl Future<Output = ApiResult<Vec<Self::Row>>> + Send;
}

/// Answers with a table, or with a description of its columns.
pub async fn table<T: CatTable>(request: RestRequest) -> ApiResult<RestResponse> {
    if let Some(help) = help(&request, T::COLUMNS)? {
        return Ok(help);
    }
    let rows = T::rows(&request).await?;
    let mut shown = Vec::new();
    for (position, column) in T::COLUMNS.iter().enumerate() {
        if column.default || T::is_shown(&request, column.name)? {
            shown.push((position, column.name.to_owned()));
        }
    }
    respond(&request, T::COLUMNS, shown, &rows)
}

/// A column: its name, other names for it, what it is, and how to get it.
pub struct Column<R> {
    name: &'static str,
    aliases: &'static [&'static str],
    description: &'static str,
    default: bool,
    get: fn(&R) -> Cell,
}

/// Returns a column shown by default.
pub const fn column<R>(
    name: &'static str,
    aliases: &'static [&'static str],
    description: &'static str,
    get: fn(&R) -> Cell,
) -> Column<R> {
    Column {
        name,
        aliases,
        description,
        default: true,
        get,
    }
}

/// Returns a column shown when asked for.
pub const fn extra<R>(
    name: &'static str,
    aliases: &'static [&'static str],
    description: &'static str,
    get: fn(&R) -> Cell,
) -> Column<R> {
    Column {
        default: false,
        ..column(name, aliases, description, get)
    }
}

/// One field of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Blank in text, null in JSON.
    None,
    Text(String),
    Number(u64),
    Decimal(f64),
    /// Written with a unit, or in the unit of the `bytes` parameter.
    Bytes(u64),
    /// Nanoseconds, written with a unit, or in the unit of the `time` parameter.
    Nanos(u64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

/// Rows under the full list of columns of a table.
struct Table<'a, R> {
    columns: &'a [Column<R>],
    rows: Vec<Vec<Cell>>,
}

impl<'a, R> Table<'a, R> {
    fn new(columns: &'a [Column<R>], rows: &[R]) -> Self {
        let cells = |row| columns.iter().map(|column| (column.get)(row)).collect();
        let rows = rows.iter().map(cells).collect();
        Self { columns, rows }
    }
}

/// Parameters of every cat API.
pub const CAT_PARAMS: &[&str] = &[
    "v",
    "h",
    "s",
    "help",
    "bytes",
    "time",
    "ts",
    "local",
    "master_timeout",
];

/// Returns the answer to `?help`, before any data is fetched. Reads every parameter of [`CAT_PARAMS`].
fn help<R>(request: &RestRequest, columns: &[Column<R>]) -> ApiResult<Option<RestResponse>> {
    View::of(request)?;
    // Tables are made from the state of the node that answers. Only one has a time of day that can be left out.
    request.params.hint_flags(&["local", "ts"])?;
    request.params.hint_times(&["master_timeout"])?;
    if !request.params.flag("help", false)? {
        return Ok(None);
    }
    let lines: Vec<[String; 3]> = columns
        .iter()
        .map(|column| {
            [
                column.name.to_owned(),
                column.aliases.join(","),
                column.description.to_owned(),
            ]
        })
        .collect();
    let width = |i: usize| lines.iter().map(|line| line[i].len()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let text = lines
        .iter()
        .map(|[name, aliases, description]| {
            format!("{name:<first$} | {aliases:<second$} | {description}\n")
        })
        .collect();
    Ok(Some(RestResponse::text(text)))
}

/// Returns the table in the form the request asks for.
fn respond<R>(
    request: &RestRequest,
    columns: &[Column<R>],
    shown: Vec<(usize, String)>,
    rows: &[R],
) -> ApiResult<RestResponse> {
    let view = View::of(request)?;
    let mut table = Table::new(columns, rows);
    let chosen = match view.columns.is_empty() {
        true => shown,
        false => choose(table.columns, &view.columns),
    };
    sort(&mut table, &view.order)?;
    if view.as_json {
        return Ok(RestResponse::json(to_json(&table, &chosen, view.units)));
    }
    let text = to_text(&table, &chosen, view.units, view.header);
    Ok(RestResponse::text(text))
}

/// How a table is written.
struct View {
    units: Units,
    columns: Vec<String>,
    order: Vec<String>,
    as_json: bool,
    header: bool,
}

impl View {
    fn of(request: &RestRequest) -> ApiResult<Self> {
        let params = &request.params;
        Ok(Self {
            units: Units {
                bytes: ByteUnit::parse(params.text("bytes"))?,
                time: TimeUnit::parse(params.text("time"))?,
            },
            columns: params.list("h"),
            order: params.list("s"),
            as_json: match params.text("format") {
                Some(name) if Format::of_name(name).is_some() => true,
                Some("text" | "txt") => false,
                Some(other) => {
                    return Err(ApiError::illegal_argument(format!(
                        "unsupported format [{other}]; expected [text], [json], [yaml], [cbor] or [smile]"
                    )));
                }
                None => request.prefers_json,
            },
            header: params.flag("v", false)?,
        })
    }
}

/// Returns the positions of the columns that `h` names, with the names asked for. Unknown names show nothing.
fn choose<R>(columns: &[Column<R>], wanted: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for name in wanted {
        if name.contains('*') {
            let matching = columns
                .iter()
                .enumerate()
                .filter(|(_, column)| glob::matches(name, column.name, Syntax::Star));
            found.extend(matching.map(|(position, column)| (position, column.name.to_owned())));
        } else if let Some(position) = find(columns, name) {
            found.push((position, name.clone()));
        }
    }
    // Each heading once, however often it was asked for: else a short line makes a very long answer.
    let mut seen = BTreeSet::new();
    found.retain(|(_, name)| seen.insert(name.clone()));
    found
}

fn find<R>(columns: &[Column<R>], name: &str) -> Option<usize> {
    columns
        .iter()
        .position(|column| column.name == name || column.aliases.contains(&name))
}

fn sort<R>(table: &mut Table<'_, R>, keys: &[String]) -> ApiResult<()> {
    let mut order = Vec::new();
    for key in keys {
        let (name, descending) = match key.split_once(':') {
            Some((name, "desc")) => (name, true),
            Some((name, "asc")) => (name, false),
            Some(_) => return Err(unknown_sort(key)),
            None => (key.as_str(), false),
        };
        let position = find(table.columns, name).ok_or_else(|| unknown_sort(key))?;
        order.push((position, descending));
    }
    table.rows.sort_by(|a, b| {
        order
            .iter()
            .map(|(position, descending)| {
                let ordering = compare(&a[*position], &b[*position]);
                if *descending {
                    ordering.reverse()
                } else {
                    ordering
                }
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    Ok(())
}

fn unknown_sort(key: &str) -> ApiError {
    ApiError::illegal_argument(format!("Unable to sort by unknown sort key `{key}`"))
}

fn compare(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        _ => rank(a).total_cmp(&rank(b)),
    }
}

fn rank(cell: &Cell) -> f64 {
    match cell {
        Cell::None | Cell::Text(_) => f64::NEG_INFINITY,
        Cell::Number(number) | Cell::Bytes(number) | Cell::Nanos(number) => *number as f64,
        Cell::Decimal(number) => *number,
    }
}

fn to_json<R>(table: &Table<'_, R>, chosen: &[(usize, String)], units: Units) -> Value {
    table
        .rows
        .iter()
        .map(|row| {
            let object: Map<String, Value> = chosen
                .iter()
                .map(|(position, name)| {
                    let value = match &row[*position] {
                        Cell::None => Value::Null,
                        cell => Value::String(show(cell, units)),
                    };
                    (name.clone(), value)
                })
                .collect();
            Value::Object(object)
        })
        .collect()
}

fn to_text<R>(
    table: &Table<'_, R>,
    chosen: &[(usize, String)],
    units: Units,
    header: bool,
) -> String {
    let mut lines: Vec<Vec<(String, bool)>> = Vec::new();
    let right_aligned: Vec<bool> = chosen
        .iter()
        .map(|(position, _)| {
            table
                .rows
                .iter()
                .any(|row| !matches!(row[*position], Cell::Text(_) | Cell::None))
        })
        .collect();
    if header {
        let names = chosen.iter().zip(&right_aligned);
        lines.push(
            names
                .map(|((_, name), right)| (name.clone(), *right))
                .collect(),
        );
    }
    for row in &table.rows {
        let cells = chosen.iter().zip(&right_aligned);
        lines.push(
            cells
                .map(|((position, _), right)| (show(&row[*position], units), *right))
                .collect(),
        );
    }
    layout(&lines, chosen.len())
}

fn layout(lines: &[Vec<(String, bool)>], columns: usize) -> String {
    let widths: Vec<usize> = (0..columns)
        .map(|i| {
            lines
                .iter()
                .map(|line| line[i].0.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines {
        for (i, ((cell, right), width)) in line.iter().zip(&widths).enumerate() {
            if i > 0 {
                text.push(' ');
            }
            match (right, i + 1 == columns) {
                (true, _) => text.push_str(&format!("{cell:>width$}")),
                (false, true) => text.push_str(cell),
                (false, false) => text.push_str(&format!("{cell:<width$}")),
            }
        }
        text.push('\n');
    }
    text
}

fn show(cell: &Cell, units: Units) -> String {
    match cell {
        Cell::None => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Decimal(number) => format!("{number:.2}"),
        Cell::Bytes(size) => units.bytes.show(*size),
        Cell::Nanos(nanos) => units.time.show(*nanos),
    }
}

/// How what has a unit is written.
#[derive(Debug, Clone, Copy)]
struct Units {
    bytes: ByteUnit,
    time: TimeUnit,
}

/// The unit of durations.
#[derive(Debug, Clone, Copy)]
enum TimeUnit {
    /// As fits the duration: `1.5s`.
    Fitting,
    /// A whole number of so many nanoseconds, without a unit.
    Of(u64),
}

impl TimeUnit {
    fn parse(text: Option<&str>) -> ApiResult<Self> {
        Ok(Self::Of(match text {
            None => return Ok(Self::Fitting),
            Some("nanos") => 1,
            Some("micros") => 1_000,
            Some("ms") => 1_000_000,
            Some("s") => 1_000_000_000,
            Some("m") => 60_000_000_000,
            Some("h") => 3_600_000_000_000,
            Some("d") => 86_400_000_000_000,
            Some(other) => {
                return Err(ApiError::illegal_argument(format!(
                    "[time] is [{other}], but must be one of [d, h, m, s, ms, micros, nanos]"
                )));
            }
        }))
    }

    fn show(self, nanos: u64) -> String {
        match self {
            Self::Fitting => crate::render::duration_in_words(nanos.into()),
            Self::Of(unit) => (nanos / unit).to_string(),
        }
    }
}

/// The unit of sizes.
#[derive(Debug, Clone, Copy)]
enum ByteUnit {
    /// As fits the size: `1.5kb`.
    Fitting,
    /// A whole number, without a unit.
    Shifted(u32),
}

impl ByteUnit {
    fn parse(text: Option<&str>) -> ApiResult<Self> {
        let shift = match text {
            None => return Ok(Self::Fitting),
            Some("b") => 0,
            Some("k" | "kb") => 10,
            Some("m" | "mb") => 20,
            Some("g" | "gb") => 30,
            Some("t" | "tb") => 40,
            Some("p" | "pb") => 50,
            Some(other) => {
                return Err(ApiError::illegal_argument(format!(
                    "unsupported value [{other}] of [bytes]; expected one of [b, kb, mb, gb, tb, pb]"
                )));
            }
        };
        Ok(Self::Shifted(shift))
    }

    fn show(self, size: u64) -> String {
        match self {
            Self::Fitting => ringwall_base::ByteSizeValue::from_bytes(size).to_string(),
            Self::Shifted(shift) => (size >> shift).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Row = (&'static str, u64, Option<u64>);

    const COLUMNS: &[Column<Row>] = &[
        column("index", &["i", "idx"], "index name", |row| row.0.into()),
        column("docs", &["d"], "documents", |row| row.1.into()),
        column("size", &["s"], "store size", |row| {
            row.2.map_or(Cell::None, Cell::Bytes)
        }),
        extra("uuid", &[], "identity", |_| "u".into()),
    ];

    const FITTING: Units = Units {
        bytes: ByteUnit::Fitting,
        time: TimeUnit::Fitting,
    };
    const SHIFTED: Units = Units {
        bytes: ByteUnit::Shifted(10),
        time: TimeUnit::Of(1_000_000),
    };

    #[test]
    fn durations_have_the_unit_that_is_asked_for() {
        let cell = Cell::Nanos(1_250_000_000);
        assert_eq!(show(&cell, FITTING), "1.2s");
        assert_eq!(show(&cell, SHIFTED), "1250");
        assert!(TimeUnit::parse(Some("w")).is_err());
    }

    fn table() -> Table<'static, Row> {
        Table::new(COLUMNS, &[("b", 9, Some(2048)), ("alpha", 10, None)])
    }

    #[test]
    fn text_is_padded_and_numbers_lean_right() {
        let chosen = choose(COLUMNS, &["index", "docs", "size"].map(str::to_owned));
        let mut sorted = table();
        sort(&mut sorted, &["docs:desc".to_owned()]).unwrap();
        assert_eq!(
            to_text(&sorted, &chosen, FITTING, true),
            "index docs size\nalpha   10     \nb        9  2kb\n"
        );
    }

    #[test]
    fn columns_are_chosen_by_name_alias_and_wildcard() {
        let names = |wanted: &str| -> Vec<String> {
            let wanted = crate::params::split_list(wanted);
            choose(COLUMNS, &wanted)
                .into_iter()
                .map(|(_, name)| name)
                .collect()
        };
        assert_eq!(names("idx,uuid"), ["idx", "uuid"]);
        assert_eq!(names("*i*,nothing"), ["index", "size", "uuid"]);
        assert_eq!(names("i,i,index,i*,*x"), ["i", "index"]);
        let chosen = choose(COLUMNS, &["i".to_owned(), "s".to_owned()]);
        assert_eq!(
            to_json(&table(), &chosen, SHIFTED),
            json!([{"i": "b", "s": "2"}, {"i": "alpha", "s": null}])
        );
        assert!(sort(&mut table(), &["nope".to_owned()]).is_err());
    }
}
