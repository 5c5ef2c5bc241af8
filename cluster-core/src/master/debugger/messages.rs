//! What the beginning of a session asks of the master, one step after the other.

use actix::dev::ToEnvelope;
use actix::{Addr, Context, Handler, Message, ResponseFuture};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::super::{Master, Waiter};
use crate::id::WorkerId;
use crate::node::ProgressNote;
use crate::protocol::OperationError;

type Answer<T> = Result<T, OperationError>;

/// Whether the system lets a worker be traced, tried out by a process that looks at it: gdbserver does not come to an end where it is not
/// let.
#[derive(Message)]
#[rtype(result = "Answer<()>")]
pub(super) struct MayTrace(pub(super) WorkerId);

/// Isolate a worker; the answer comes when it is.
#[derive(Message)]
#[rtype(result = "Answer<Value>")]
pub(super) struct SetApart {
    pub(super) id: WorkerId,
    pub(super) progress: Option<mpsc::Sender<ProgressNote>>,
}

/// Asks the master; one that is gone stops.
pub(super) async fn ask<M, T>(master: &Addr<Master>, message: M) -> Answer<T>
where
    M: Message<Result = Answer<T>> + Send + 'static,
    T: Send + 'static,
    Master: Handler<M>,
    Context<Master>: ToEnvelope<Master, M>,
{
    let asked = master.send(message).await;
    asked.unwrap_or(Err(OperationError::Stopping))
}

impl Handler<MayTrace> for Master {
    type Result = ResponseFuture<Answer<()>>;

    fn handle(&mut self, MayTrace(id): MayTrace, _: &mut Context<Self>) -> Self::Result {
        match self.may_trace(id) {
            Ok(tried) => Box::pin(tried),
            Err(e) => Box::pin(async { Err(e) }),
        }
    }
}

impl Handler<SetApart> for Master {
    type Result = ResponseFuture<Answer<Value>>;

    fn handle(&mut self, apart: SetApart, ctx: &mut Context<Self>) -> Self::Result {
        let (reply, isolated) = oneshot::channel();
        let progress = apart.progress;
        let refused = self.isolate(apart.id.0, Waiter { reply, progress }).err();
        self.reconcile(ctx);
        Box::pin(async move {
            match refused {
                Some((_, e)) => Err(e),
                None => isolated.await.unwrap_or(Err(OperationError::Stopping)),
            }
        })
    }
}
