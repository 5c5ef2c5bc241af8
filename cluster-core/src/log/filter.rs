//! What of the log is written: levels per target, which an operator changes while the process runs.

use std::sync::OnceLock;

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

/// The longest filter, in bytes.
pub(crate) const LONGEST_FILTER: usize = 4096;

/// Why a filter does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterError {
    /// It is none.
    #[error("{cause}")]
    Bad { cause: String },
    /// The subscriber is the application's own.
    #[error("its subscriber is the application's own, which nobody else can change")]
    Foreign,
}

/// The filter of this process, where its subscriber is the cluster's.
static FILTER: OnceLock<Filter> = OnceLock::new();

type Set = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

struct Filter {
    set: Set,
    /// What holds where nobody says otherwise.
    first: String,
    now: Mutex<String>,
}

/// The filter that a process begins with, as text: `RUST_LOG` where that is one.
pub(super) fn first() -> (EnvFilter, String) {
    let given = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let read = given.and_then(|text| Some((EnvFilter::try_new(&text).ok()?, text)));
    read.unwrap_or_else(|| (EnvFilter::new("info"), "info".to_owned()))
}

/// This is how the filter of this process is set from now on.
pub(super) fn keep<S: 'static>(handle: Handle<EnvFilter, S>, first: String) {
    let set = move |filter| handle.reload(filter).map_err(|e| e.to_string());
    let _ = FILTER.set(Filter {
        set: Box::new(set),
        now: Mutex::new(first.clone()),
        first,
    });
}

/// Sets the filter of this process, or with none the one that it began with; gives back the one that held before and the one that holds.
pub(crate) fn set_filter(text: Option<&str>) -> Result<(String, String), FilterError> {
    let bad = |cause: String| FilterError::Bad { cause };
    let filter = FILTER.get().ok_or(FilterError::Foreign)?;
    let text = text.unwrap_or(&filter.first).trim();
    match text.len() {
        0 => return Err(bad("it is empty".to_owned())),
        1..=LONGEST_FILTER => {}
        n => return Err(bad(format!("it has {n} bytes (allowed: {LONGEST_FILTER})"))),
    }
    let read = EnvFilter::builder()
        .parse(text)
        .map_err(|e| bad(e.to_string()))?;
    let mut now = filter.now.lock();
    (filter.set)(read).map_err(bad)?;
    let before = std::mem::replace(&mut *now, text.to_owned());
    Ok((before, text.to_owned()))
}
