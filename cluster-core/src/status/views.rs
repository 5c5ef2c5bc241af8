//! The statuses that one process offers, and how others read and write them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use cluster_macros::Request;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use crate::emitter::Emitter;

/// A status as text, from one process.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(Option<ReadReply>)]
#[request(name = "cluster.status.read")]
pub(super) struct Read {
    pub(super) name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReadReply {
    pub(super) pid: u32,
    pub(super) json: String,
    /// It has an update function.
    #[serde(default)]
    pub(super) writable: bool,
}

/// A new value for a status of one process.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(Written)]
#[request(name = "cluster.status.write")]
pub(super) struct Write {
    pub(super) name: String,
    pub(super) json: String,
}

/// What became of a new value. Append-only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Written {
    Taken,
    Unknown,
    ReadOnly,
    Refused(String),
}

type See = Arc<dyn Fn() -> LocalBoxFuture<'static, Value> + Send + Sync>;
pub(super) type Update =
    Arc<dyn Fn(Value) -> LocalBoxFuture<'static, Result<(), String>> + Send + Sync>;

#[derive(Clone)]
struct View {
    see: See,
    update: Option<Update>,
}

/// Tells the aggregator that a name is offered (or no longer).
type Offer = Box<dyn Fn(&str, bool) + Send + Sync>;

pub(super) struct Views {
    pid: u32,
    views: Mutex<HashMap<String, View>>,
    offer: Offer,
}

/// The longest name of a status, in bytes.
const LONGEST_NAME: usize = 64;

impl Views {
    pub(super) fn new(pid: u32, offer: impl Fn(&str, bool) + Send + Sync + 'static) -> Self {
        Views {
            pid,
            views: Mutex::default(),
            offer: Box::new(offer),
        }
    }

    pub(super) fn add<V, F, T>(&self, name: &str, view: V, update: Option<Update>)
    where
        V: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = T> + 'static,
        T: Serialize,
    {
        if name.is_empty() || name.len() > LONGEST_NAME {
            warn!(
                name,
                "a status was not registered: a name has 1 to {LONGEST_NAME} bytes"
            );
            return;
        }
        let see: See = Arc::new(move || {
            view()
                .map(|v| serde_json::to_value(v).unwrap_or(Value::Null))
                .boxed_local()
        });
        let mut views = self.views.lock();
        if views.contains_key(name) {
            warn!(
                name,
                "a status of this name is registered in this process already; the later one is ignored"
            );
            return;
        }
        views.insert(name.to_owned(), View { see, update });
        drop(views);
        (self.offer)(name, true);
    }

    pub(super) fn remove(&self, name: &str) -> bool {
        // Dropped after the lock is gone: a view may own what reaches back here.
        let removed = self.views.lock().remove(name);
        if removed.is_some() {
            (self.offer)(name, false);
        }
        removed.is_some()
    }

    pub(super) fn offer_all(&self) {
        let names: Vec<String> = self.views.lock().keys().cloned().collect();
        for name in names {
            (self.offer)(&name, true);
        }
    }

    fn find(&self, name: &str) -> Option<View> {
        self.views.lock().get(name).cloned()
    }

    /// Lets other processes read and write the views.
    pub(super) fn answer(this: &Arc<Self>, emitter: &Emitter) {
        let views = Arc::clone(this);
        emitter.answer(move |read: Read, _| {
            let view = views.find(&read.name);
            let pid = views.pid;
            async move {
                let view = view?;
                let value = (view.see)().await;
                Some(ReadReply {
                    pid,
                    writable: view.update.is_some(),
                    json: value.to_string(),
                })
            }
        });
        let views = Arc::clone(this);
        emitter.answer(move |write: Write, _| {
            let view = views.find(&write.name);
            async move {
                let Some(view) = view else {
                    return Written::Unknown;
                };
                let Some(update) = view.update else {
                    return Written::ReadOnly;
                };
                let value = match serde_json::from_str(&write.json) {
                    Ok(value) => value,
                    Err(e) => return Written::Refused(format!("the value is no JSON: {e}")),
                };
                match update(value).await {
                    Ok(()) => Written::Taken,
                    Err(why) => Written::Refused(why),
                }
            }
        });
    }
}
