//! What is at a path as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::watch;

use super::handle::Document;

/// What is at a path of a document, and whenever it changes, what is there then; nothing where there is nothing.
///
/// ```no_run
/// use futures_util::StreamExt;
///
/// # async fn example(flags: cluster_cache::Document) -> Result<(), cluster_cache::DocumentError> {
/// let mut limit = flags.watch("limits.requests")?;
/// while let Some(limit) = limit.next().await {
///     println!("the limit is {limit:?} now");
/// }
/// # Ok(())
/// # }
/// ```
pub struct DocumentWatch {
    document: Document,
    path: String,
    /// Told whenever something around the path changes.
    next: Option<BoxFuture<'static, Option<watch::Receiver<()>>>>,
    /// What was given last.
    last: Option<Option<Value>>,
}

impl std::fmt::Debug for DocumentWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DocumentWatch")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

async fn changed(mut changes: watch::Receiver<()>) -> Option<watch::Receiver<()>> {
    changes.changed().await.ok()?;
    Some(changes)
}

impl DocumentWatch {
    pub(super) fn new(document: Document, path: &str, changes: watch::Receiver<()>) -> Self {
        DocumentWatch {
            document,
            path: path.to_owned(),
            // What is there is given without waiting.
            next: Some(Box::pin(changed(changes))),
            last: None,
        }
    }
}

impl Stream for DocumentWatch {
    type Item = Option<Value>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            // Before it is read: a change that comes in between is told of.
            if self.last.is_some() {
                let Some(next) = &mut self.next else {
                    return Poll::Ready(None);
                };
                match std::task::ready!(next.as_mut().poll(cx)) {
                    Some(changes) => self.next = Some(Box::pin(changed(changes))),
                    None => {
                        self.next = None;
                        return Poll::Ready(None);
                    }
                }
            }
            let Ok(found) = self.document.get(&self.path) else {
                self.next = None;
                self.last.get_or_insert_default();
                return Poll::Ready(None);
            };
            if self.last.as_ref() != Some(&found) {
                self.last = Some(found.clone());
                return Poll::Ready(Some(found));
            }
        }
    }
}
