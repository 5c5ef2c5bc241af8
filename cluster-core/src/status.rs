//! Named values that every process offers, read together: [`Status`].
//!
//! ```text
//! process ─ register ─▶ its own views ─ Report ─▶ aggregator (who offers what)
//! asker ─ get(name) ─▶ aggregator ─ ask each process that offers it ─▶ values, reduced
//! ```

pub(crate) mod aggregator;
mod reducer;
mod views;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use reducer::Reducer;

use crate::emitter::{AskError, Emitter, Target};
use crate::id::ProcessId;
use views::{Views, Write};

/// How long a read or write waits for each process unless said otherwise.
pub const STATUS_WAIT: Duration = Duration::from_secs(1);

/// One process's value of a status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatusEntry {
    /// The pid of the process.
    pub pid: u32,
    /// The name of the status.
    pub name: String,
    /// Its value there; null where there is an error.
    pub status: Value,
    /// Whether it can be set there: it was registered with an update function.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub writable: bool,
    /// Why there is no value: a process that is slow or dead costs an entry, never the answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// Why a status could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// No process offers a status of this name.
    #[error("no process offers a status named {0:?}")]
    Unknown(String),
    /// The master, which knows who offers what, cannot be asked.
    #[error("the statuses cannot be read")]
    Ask(#[from] AskError),
    /// A reducer cannot work on the values.
    #[error("the values of status {name:?} cannot be reduced by {reducer}: {found} is no {wanted}")]
    Reduce {
        /// The status.
        name: String,
        /// The reducer.
        reducer: Reducer,
        /// What was among the values.
        found: String,
        /// What would be needed.
        wanted: &'static str,
    },
    /// The processes do not let the status be written.
    #[error("status {0:?} has no update function")]
    ReadOnly(String),
    /// A process refused the new value.
    #[error("status {name:?} was not set: {cause}")]
    Refused {
        /// The status.
        name: String,
        /// The first refusal.
        cause: String,
    },
}

/// The statuses of the cluster, as one process reaches them. Cheap to clone.
#[derive(Clone)]
pub struct Status {
    views: Arc<Views>,
    emitter: Emitter,
    wait: Duration,
}

impl Status {
    pub(crate) fn new(
        emitter: Emitter,
        offer: impl Fn(&str, bool) + Send + Sync + 'static,
    ) -> Self {
        let views = Arc::new(Views::new(std::process::id(), offer));
        Views::answer(&views, &emitter);
        Status {
            views,
            emitter,
            wait: STATUS_WAIT,
        }
    }

    /// The same, with another time to wait for each process than [`STATUS_WAIT`].
    #[must_use]
    pub fn wait(&self, wait: Duration) -> Self {
        Status {
            wait,
            ..self.clone()
        }
    }

    /// Offers a status of this process: `view` gives its value whenever it is asked for.
    ///
    /// Once per name; a later one is ignored and logged. Names are 1 to 64 bytes.
    pub fn register<V, F, T>(&self, name: &str, view: V)
    where
        V: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = T> + 'static,
        T: Serialize,
    {
        self.views.add(name, view, None);
    }

    /// The same, for a status that can be set: `update` takes the new value, or says why not.
    pub fn register_with_update<V, F, T, U, G>(&self, name: &str, view: V, update: U)
    where
        V: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = T> + 'static,
        T: Serialize,
        U: Fn(Value) -> G + Send + Sync + 'static,
        G: Future<Output = Result<(), String>> + 'static,
    {
        let update: views::Update = Arc::new(move |value| Box::pin(update(value)));
        self.views.add(name, view, Some(update));
    }

    /// Offers a status no longer. False where this process did not.
    pub fn unregister(&self, name: &str) -> bool {
        self.views.remove(name)
    }

    /// The names of the statuses that any process offers.
    ///
    /// # Errors
    ///
    /// When the master cannot be asked.
    pub async fn statuses(&self) -> Result<Vec<String>, StatusError> {
        Ok(self.ask_aggregator(aggregator::Names).await?)
    }

    /// The value of a status in every process that offers it, all asked at once.
    ///
    /// # Errors
    ///
    /// When nobody offers it, or the master cannot be asked.
    pub async fn get(&self, name: &str) -> Result<Vec<StatusEntry>, StatusError> {
        let query = aggregator::Query {
            name: name.to_owned(),
            wait_ms: millis(self.wait),
        };
        let found: Option<String> = self.ask_aggregator(query).await?;
        found
            .and_then(|json| serde_json::from_str(&json).ok())
            .ok_or_else(|| StatusError::Unknown(name.to_owned()))
    }

    /// The values of all processes made one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and when the values are not such as the reducer takes.
    pub async fn reduce(&self, name: &str, reducer: Reducer) -> Result<Value, StatusError> {
        let entries = self.get(name).await?;
        reducer
            .reduce(&entries)
            .map_err(|(found, wanted)| StatusError::Reduce {
                name: name.to_owned(),
                reducer,
                found,
                wanted,
            })
    }

    /// Sets a status in the targets; gives back how many processes took the value.
    ///
    /// # Errors
    ///
    /// When no target offers it, or none lets it be set, or one refuses the value.
    pub async fn set(
        &self,
        name: &str,
        value: &Value,
        targets: impl IntoIterator<Item = Target>,
    ) -> Result<usize, StatusError> {
        let write = Write {
            name: name.to_owned(),
            json: value.to_string(),
        };
        let answers = self.emitter.to(targets).wait(self.wait).ask(write).await;
        let (mut taken, mut read_only) = (0, false);
        let mut cause = None;
        for answer in answers {
            match answer.result {
                Ok(views::Written::Taken) => taken += 1,
                Ok(views::Written::Unknown) => {}
                Ok(views::Written::ReadOnly) => read_only = true,
                Ok(views::Written::Refused(why)) => {
                    cause.get_or_insert(why);
                }
                Err(e) => {
                    cause.get_or_insert(e.to_string());
                }
            }
        }
        let name = name.to_owned();
        match (cause, taken) {
            (Some(cause), _) => Err(StatusError::Refused { name, cause }),
            (None, 0) if read_only => Err(StatusError::ReadOnly(name)),
            (None, 0) => Err(StatusError::Unknown(name)),
            (None, taken) => Ok(taken),
        }
    }

    /// Says anew what this process offers, to a master that has not heard it.
    pub(crate) fn offer_all(&self) {
        self.views.offer_all();
    }

    async fn ask_aggregator<R: crate::emitter::Request + Clone>(
        &self,
        request: R,
    ) -> Result<R::Reply, AskError> {
        // The master needs the wait itself; what comes on top is for the way there and back.
        let wait = self.wait + Duration::from_millis(500);
        let to = self.emitter.to([Target::Master]).wait(wait);
        let answer = to.ask(request).await.pop();
        answer.map_or(Err(AskError::NoHandler(ProcessId::Master)), |a| a.result)
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
