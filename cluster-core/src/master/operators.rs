//! What operators ask over their links, and what they are told.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{debug, info, warn};

use crate::bridge::outbox::Outbox;
use crate::id::ProcessId;
use crate::node::Cluster;
use crate::protocol::{Debugging, Operate, Operation, OperationError, Outcome, Progress};
use crate::wire::codec;
use crate::wire::message::WireMessage;

/// Operations that one operator may have under way; a further one is refused as busy.
const PLACES: usize = 16;
/// Notes on progress that may wait; a further one waits for its place.
const NOTES: usize = 16;

pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(PLACES))
}

/// Carries out an operation beside others, and sends its progress and its outcome; unheard once the other end of `linked` is gone.
pub(crate) fn carry_out(
    operate: Operate,
    operator: ProcessId,
    cluster: &Cluster,
    outbox: &Arc<Outbox>,
    places: &Arc<Semaphore>,
    mut linked: watch::Receiver<()>,
) {
    let Operate { number, operation } = operate;
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        let busy = OperationError::Busy(format!("{PLACES} operations of this operator"));
        send(
            outbox,
            &Outcome {
                number,
                result: Err(busy),
            },
        );
        return;
    };
    let (cluster, outbox) = (cluster.clone(), Arc::clone(outbox));
    actix_rt::spawn(async move {
        let asks_only = matches!(
            operation,
            Operation::Status
                | Operation::Statuses
                | Operation::ReadStatus { .. }
                | Operation::Debug(Debugging::RecentLog { .. })
        );
        let what = format!("{operation:?}");
        let (notes, mut noted) = mpsc::channel(NOTES);
        let mut outcome = std::pin::pin!(cluster.operate_with_progress(operation, Some(notes)));
        let result = loop {
            tokio::select! {
                // The last notes come at the same moment as the outcome, and belong before it.
                biased;
                Some(note) = noted.recv() => {
                    let progress = Progress { number, done: note.done, of: note.of, note: note.note };
                    send(&outbox, &progress);
                }
                result = &mut outcome => break result,
                _ = linked.changed() => {
                    debug!(%operator, operation = what, "its operator has left");
                    return;
                }
            }
        };
        match &result {
            Ok(_) if asks_only => debug!(%operator, operation = what, "answered"),
            Ok(_) => info!(%operator, operation = what, "carried out"),
            Err(e) => warn!(%operator, operation = what, error = %e, "refused"),
        }
        send(
            &outbox,
            &Outcome {
                number,
                result: result.map(|value| value.to_string()),
            },
        );
        drop(place);
    });
}

fn send<M: WireMessage>(outbox: &Outbox, message: &M) {
    if let Err(e) = outbox.push(M::HEADER, |out| codec::encode_into(message, out)) {
        warn!(reason = ?e, "an operator could not be told");
    }
}
